//! Somebody outside who asks the product without pause, and keeps what came of each request.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

const PATIENCE: Duration = Duration::from_secs(10);
/// Between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(50);

/// One request.
#[derive(Debug, Clone)]
pub struct Visit {
    pub number: usize,
    pub began: SystemTime,
    pub ended: SystemTime,
    /// The status and the body, or why there are none.
    pub answer: Result<(u16, String), String>,
}

impl Visit {
    /// GraphQL answers 200 to what it refuses.
    pub fn is_fine(&self) -> bool {
        matches!(&self.answer, Ok((200..300, body)) if !body.starts_with("{\"errors\""))
    }
}

/// `request`: method, path and body of the request of each number. Asks `address` from before `during` begins until after
/// it has ended.
pub fn visits<T>(
    address: SocketAddr, request: impl Fn(usize) -> (&'static str, &'static str, String) + Sync,
    during: impl FnOnce() -> T,
) -> (T, Vec<Visit>) {
    visits_with("", address, request, during)
}

/// Each with this header.
pub fn visits_with<T>(
    header: &str, address: SocketAddr, request: impl Fn(usize) -> (&'static str, &'static str, String) + Sync,
    during: impl FnOnce() -> T,
) -> (T, Vec<Visit>) {
    let headers = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let over = AtomicBool::new(false);
    let visit = |number: usize| {
        let (began, (method, path, body)) = (SystemTime::now(), request(number));
        let answer = ask(address, method, path, &headers, &body);
        Visit { number, began, ended: SystemTime::now(), answer }
    };
    thread::scope(|scope| {
        // The first is answered before anything begins.
        let first = visit(0);
        let visitor = scope.spawn(|| {
            let mut visits = vec![first];
            while !over.load(Ordering::SeqCst) {
                thread::sleep(PAUSE);
                visits.push(visit(visits.len()));
            }
            visits
        });
        let ends = Ends(&over);
        let done = during();
        drop(ends);
        (done, visitor.join().expect("the visitor"))
    })
}

/// Also where the test has failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Result<(u16, String), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it ended without an answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    Ok((status, body.to_owned()))
}

/// When users were shut out at most, and at least, as a run's steps say: since the gate began to shut until it was open,
/// and since it was shut until it began to open.
fn shut_out(run: &Value) -> [(SystemTime, SystemTime); 2] {
    let steps = run["steps"].as_array().expect("steps");
    let step = |name: &str| {
        let of = |step: &&Value| step["phase"] == name && !step["ended_at"].is_null();
        steps.iter().rfind(of).unwrap_or_else(|| panic!("no step `{name}` has ended: {steps:#?}"))
    };
    let back = steps.iter().any(|step| step["phase"] == "admit-back");
    // That of the whole path; a later hop's stops what the hop before it started.
    let quiesce = steps.iter().find(|step| step["phase"] == "quiesce").expect("the gate was shut");
    let (shut, open) = (quiesce, step(if back { "admit-back" } else { "admit" }));
    let time = |step: &Value, key: &str| {
        let text = step[key].as_str().expect("a time");
        SystemTime::from(text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("`{text}`: {error}")))
    };
    [(time(shut, "started_at"), time(open, "ended_at")), (time(shut, "ended_at"), time(open, "started_at"))]
}

/// Every write that was acknowledged is there, once; nobody was answered while the gate was shut, and everybody else was;
/// and the run's downtime is what was seen from outside. `times_there`: by a write's number.
pub fn account_for(run: &Value, writes: &[Visit], times_there: impl Fn(usize) -> usize, log: &str) {
    let (told, failed): (Vec<&Visit>, Vec<&Visit>) = writes.iter().partition(|write| write.is_fine());
    for write in &told {
        assert_eq!(times_there(write.number), 1, "write {} was acknowledged at {:?}\n{log}", write.number, write.ended);
    }
    let [(shuts, opened), (shut, opens)] = shut_out(run);
    for write in &failed {
        let shut_meanwhile = write.ended >= shuts && write.began <= opened;
        assert!(shut_meanwhile, "refused while the gate was open, not from {shuts:?} to {opened:?}: {write:?}\n{log}");
    }
    for write in &told {
        assert!(write.began < shut || write.ended > opens, "answered while the gate was shut: {write:?}");
    }
    assert!(told.iter().any(|write| write.ended < shuts), "somebody wrote before the gate shut");
    assert!(told.iter().any(|write| write.began > opens), "somebody wrote after it opened");
    let seconds = |from: &Visit, to: &Visit| to.ended.duration_since(from.began).expect("in order");
    let (first, last) = (failed.first().expect("a gate shuts"), failed.last().expect("a gate shuts"));
    let seen = seconds(first, last);
    let said = Duration::from_secs_f64(run["downtime_s"].as_f64().expect("a downtime"));
    // What is shut while a request is under way is seen by that request; what opens, by the next one.
    let resolution = writes.windows(2).map(|pair| seconds(&pair[0], &pair[1])).max().unwrap_or_default();
    let slack =
        resolution + shut.duration_since(shuts).unwrap_or_default() + opened.duration_since(opens).unwrap_or_default();
    assert!(seen <= said + resolution && said <= seen + slack, "{seen:?} was seen, {said:?} is said; within {slack:?}");
}
