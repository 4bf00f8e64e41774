//! A run that may shut users out at some times alone.

use super::*;
use crate::plan::next::Wait;
use std::sync::atomic::AtomicBool;

struct Windowed {
    open: AtomicBool,
    parked: Mutex<Vec<Parked>>,
}

impl Windowed {
    async fn until(&self, parked: &Parked) {
        while !self.parked.lock().unwrap().contains(parked) {
            tokio::task::yield_now().await;
        }
        self.parked.lock().unwrap().clear();
    }
}

#[async_trait]
impl Patience for Windowed {
    async fn window(&self) {
        while !self.open.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
    async fn backoff(&self, _: u32) {}
    fn parked(&self, why: &Parked) {
        self.parked.lock().unwrap().push(why.clone());
    }
}

#[test]
fn a_window_that_closed_while_other_runs_went_on_is_waited_for_again() {
    let (sim, mut plan) = told(&story());
    plan.policy.windows = vec!["Sat 02:00-03:00".into()];
    let journal = Journal::in_memory().expect("memory");
    let run = journal.begin(&plan).expect("memory");
    let ledger = RunLedger::open(journal, run, Arc::new(|_, _| {}), None).expect("legal history");
    let (slots, parked) = (Arc::new(Semaphore::new(1)), Mutex::default());
    let windowed = Arc::new(Windowed { open: AtomicBool::new(false), parked });
    let pipeline = pipeline(&sim, &plan, ledger, windowed.clone(), &slots);
    let open = |is: bool| windowed.open.store(is, Ordering::SeqCst);
    let others = async {
        windowed.until(&Parked::Waiting(Wait::Window)).await;
        let place = slots.acquire().await.expect("slots");
        open(true);
        windowed.until(&Parked::Slot).await;
        open(false);
        drop(place);
        windowed.until(&Parked::Waiting(Wait::Window)).await;
        assert!(!pipeline.ledger.with(|progress| progress.window_open), "it is over");
        assert_eq!(slots.available_permits(), 1, "who waits takes no place");
        open(true);
    };
    let (ended, ()) = runtime().block_on(async { tokio::join!(pipeline.drive(), others) });
    assert_eq!(ended.expect("a journal"), Ended::Outcome(Outcome::Committed));
}

/// The first look is over late.
struct Late(AtomicUsize);

#[async_trait]
impl Patience for Late {
    async fn window(&self) {}
    fn has_room(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) > 0
    }
    async fn backoff(&self, _: u32) {}
    fn parked(&self, _: &Parked) {}
}

#[test]
fn a_window_that_closed_while_it_was_looked_once_more_is_waited_for_again() {
    let (sim, mut plan) = told(&story());
    plan.policy.windows = vec!["Sat 02:00-03:00".into()];
    let journal = Journal::in_memory().expect("memory");
    let run = journal.begin(&plan).expect("memory");
    let ledger = RunLedger::open(journal.clone(), run, Arc::new(|_, _| {}), None).expect("legal history");
    let pipeline = pipeline(&sim, &plan, ledger, Arc::new(Late(AtomicUsize::new(0))), &Arc::new(Semaphore::new(1)));
    let ended = runtime().block_on(pipeline.drive());
    assert_eq!(ended.expect("a journal"), Ended::Outcome(Outcome::Committed));
    let records = journal.records(run).expect("memory");
    let opened = records.iter().filter(|record| record.event == Event::WindowOpened).count();
    let failed = records.iter().filter(|record| matches!(record.event, Event::Failed { .. })).count();
    assert_eq!((opened, failed), (2, 1));
}
