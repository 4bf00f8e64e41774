//! The API's connections. A request goes through the same stations as at Google: path, login, document, right, effect.
//! Every answer is held to its document before it leaves.

use crate::core::Core;
use crate::discovery::{self, Call, Encoding};
use crate::fault::{Fate, What};
use crate::log::Exchange;
use crate::login;
use crate::refusal::Refusal;
use crate::reply::{Body, Reply};
use crate::{registry, run, sql};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};

/// The connection is closed instead of an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for Lost {}

pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) {
    // A socket that can't be accepted is the client's to notice.
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            core.spawn(connection(Arc::clone(&core), stream));
        }
    }
}

async fn connection(core: Arc<Core>, stream: TcpStream) {
    let service = service_fn(move |request| answer(Arc::clone(&core), request));
    // It ends with an error where a fault closes it, and where a client goes away.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    if let Some(reply) = login::answer(&core.login, &head, &body).or_else(|| registry::answer(&core, &head)) {
        return Ok(reply.response());
    }
    // A client that goes away does not undo what it asked for.
    let task = core.tasks.spawn_on(
        {
            let core = Arc::clone(&core);
            async move { api(&core, &head, &body).await }
        },
        &core.runtime,
    );
    task.await.map_err(|_| Lost)?.map(Reply::response).ok_or(Lost)
}

async fn api(core: &Arc<Core>, head: &Parts, body: &[u8]) -> Option<Reply> {
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let host = head.headers.get("host").and_then(|host| host.to_str().ok());
    // Through a proxy the whole address is in the first line.
    let host = head.uri.host().or(host).unwrap_or_default();
    let Some((call, problems)) = discovery::read(head.method.as_str(), path, query, host, body) else {
        core.log.violation(format!("{} {path}: no method of the documents", head.method));
        return Some(refuse(&Refusal::no_method(path), true));
    };
    let mut log = Exchange {
        method: call.method.id.clone(),
        path: path.to_owned(),
        request: call.body.clone(),
        status: 0,
        answered: true,
        caller: String::new(),
        asked: Instant::now(),
    };
    let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let outcome = match core.login.who(authorization) {
        Err(refusal) => Outcome::Answer(Err(refusal)),
        Ok(caller) => {
            log.caller.clone_from(&caller);
            if problems.is_empty() {
                carry_out(core, &call, &caller).await
            } else {
                let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                core.log.violation(format!("{}: {all}", call.method.id));
                Outcome::Answer(Err(Refusal::not_allowed(&problems)))
            }
        }
    };
    let reply = match outcome {
        Outcome::Lost => None,
        Outcome::Answer(Ok(value)) => Some(held_to_the_document(core, &call, value)),
        Outcome::Answer(Err(refusal)) => Some((refusal.http, refuse(&refusal, call.document.is_run()))),
    };
    log.answered = reply.is_some();
    log.status = reply.as_ref().map_or(0, |(status, _)| *status);
    core.log.exchange(log);
    reply.map(|(_, reply)| reply)
}

enum Outcome {
    Lost,
    Answer(Result<Value, Refusal>),
}

async fn carry_out(core: &Arc<Core>, call: &Call, caller: &str) -> Outcome {
    if let Err(refusal) = permit(core, call) {
        return Outcome::Answer(Err(refusal));
    }
    let struck = core.faults.strike(&call.method.id);
    let mut fate = Fate::Usual;
    match &struck {
        Some(What::Refused(refusal)) => return Outcome::Answer(Err(refusal.clone())),
        Some(What::Edited) if call.document.is_run() => run::edited_by_somebody_else(core, call),
        Some(What::Edited) => sql::edited_by_somebody_else(core, call),
        Some(What::Fate(Fate::Stuck { .. })) => fate = Fate::Stuck { since: core.unstuck() },
        Some(What::Fate(given)) => fate = given.clone(),
        Some(What::Lost | What::RefusedAfter(_)) | None => {}
    }
    let answer = if call.document.is_run() {
        run::answer(core, call, caller, fate).await
    } else {
        sql::answer(core, call, caller, fate)
    };
    match struck {
        Some(What::Lost) => Outcome::Lost,
        Some(What::RefusedAfter(refusal)) if answer.is_ok() => Outcome::Answer(Err(refusal)),
        _ => Outcome::Answer(answer),
    }
}

/// The right that the method needs, in a project and a place that are there.
fn permit(core: &Core, call: &Call) -> Result<(), Refusal> {
    let permission = login::needed(&call.method.id);
    let is_run = call.document.is_run();
    let project = ["namespacesId", "projectsId", "project"].map(|name| call.variable(name)).concat();
    let may = permission.is_none_or(|permission| core.login.may(permission)) && core.has_project(&project);
    let permission = permission.unwrap_or("resourcemanager.projects.get");
    if !is_run {
        let resource = match call.variable("instance") {
            "" => format!("projects/{project}"),
            instance => format!("instances/{instance}"),
        };
        return if may { Ok(()) } else { Err(Refusal::sql_denied(permission, &resource)) };
    }
    let location = if call.document.is_knative() { &*call.region } else { call.variable("locationsId") };
    if !may {
        return Err(Refusal::denied(permission, &run::resource_of(call)));
    }
    // `-` is all of them at once.
    let is_there = discovery::documents()[0].has_location(location) || location == "-";
    if is_there { Ok(()) } else { Err(Refusal::no_location(location)) }
}

fn held_to_the_document(core: &Core, call: &Call, mut value: Value) -> (u16, Reply) {
    let wrong = call.document.wrong_answer(call.method, &value);
    if !wrong.is_empty() {
        let all = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        core.log.bug(format!("{}: {all}\n{value:#}", call.method.id));
        let refusal = Refusal::internal(format!("a mistake of the double: {all}"));
        return (500, refuse(&refusal, call.document.is_run()));
    }
    if call.wire.encoding == Encoding::Numbers {
        call.document.encode(call.method, &mut value, Encoding::Numbers);
    }
    (200, Reply::json(200, &value))
}

fn refuse(refusal: &Refusal, is_run: bool) -> Reply {
    let reply = Reply::json(refusal.http, &refusal.body(is_run));
    match refusal.retry_after {
        Some(after) => reply.with("retry-after", after.as_secs().max(1).to_string()),
        None => reply,
    }
}
