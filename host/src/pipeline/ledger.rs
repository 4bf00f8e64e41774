//! One run's journal with what it comes to: every event is checked against the table, written, and then seen by all.

use crate::effect::{Cut, Ledger, LedgerError};
use crate::journal::{Journal, JournalError, Record, failpoint};
use crate::plan::aftermath::Aftermath;
use crate::plan::event::Event;
use crate::plan::next::{Next, next};
use crate::plan::state::{IllegalEvent, Progress};
use std::sync::{Arc, Mutex, MutexGuard};

pub type Listener = Arc<dyn Fn(u64, &Record) + Send + Sync>;
/// A test's scissors: an error from it stands for a crash at that place.
pub type Scissors = Arc<dyn Fn(Place) -> Result<(), LedgerError> + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    AfterRecord,
    BeforeEffect,
    AfterEffect,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal of run {run} can't be followed: {source}")]
    Illegal { run: u64, source: IllegalEvent },
    #[error("run {run} was planned by a newer release (its plan's schema is {found}, ours is {ours})")]
    Newer { run: u64, found: u32, ours: u32 },
}

pub struct RunLedger {
    journal: Journal,
    run: u64,
    inner: Mutex<Inner>,
    listener: Listener,
    scissors: Option<Scissors>,
}

struct Inner {
    progress: Progress,
    /// The journal failed once: nothing more is written, so nothing more is done.
    broken: Option<LedgerError>,
}

impl RunLedger {
    pub fn open(
        journal: Journal, run: u64, listener: Listener, scissors: Option<Scissors>,
    ) -> Result<Self, ReplayError> {
        let records = journal.records(run)?;
        if let Some(Record { event: Event::Planned { plan }, .. }) = records.first()
            && plan.schema > crate::plan::PLAN_SCHEMA
        {
            return Err(ReplayError::Newer { run, found: plan.schema, ours: crate::plan::PLAN_SCHEMA });
        }
        let progress = Progress::replay(records.iter().map(|record| &record.event))
            .map_err(|source| ReplayError::Illegal { run, source })?;
        Ok(Self { journal, run, inner: Mutex::new(Inner { progress, broken: None }), listener, scissors })
    }

    pub fn run(&self) -> u64 {
        self.run
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic holds the ledger")
    }

    pub fn with<T>(&self, read: impl FnOnce(&Progress) -> T) -> T {
        read(&self.inner().progress)
    }

    pub fn snapshot(&self) -> Progress {
        self.inner().progress.clone()
    }

    /// An error when the journal could not be written.
    pub fn healthy(&self) -> Result<(), LedgerError> {
        self.inner().broken.clone().map_or(Ok(()), Err)
    }

    pub fn append(&self, event: Event) -> Result<(), LedgerError> {
        self.write(self.inner(), &event, true)
    }

    /// The same while `todo` is what there is to do: what was told from outside since it was decided comes first. Whether
    /// it was appended.
    pub fn append_while(&self, todo: &Next, event: Event) -> Result<bool, LedgerError> {
        let inner = self.inner();
        if next(&inner.progress) != *todo {
            return Ok(false);
        }
        self.write(inner, &event, true).map(|()| true)
    }

    /// An event that can't follow is the caller's mistake, not the run's.
    pub fn record_from_outside(&self, event: Event) -> Result<(), LedgerError> {
        self.write(self.inner(), &event, false)
    }

    fn write(&self, mut inner: MutexGuard<'_, Inner>, event: &Event, ours: bool) -> Result<(), LedgerError> {
        if let Some(broken) = &inner.broken {
            return Err(broken.clone());
        }
        let number = inner.progress.events() as u64;
        let before = (!ours).then(|| inner.progress.clone());
        if let Err(illegal) = inner.progress.apply(event) {
            let error = LedgerError(illegal.to_string());
            match before {
                Some(before) => inner.progress = before,
                None => inner.broken = Some(error.clone()),
            }
            return Err(error);
        }
        let written = match event {
            Event::Finished { outcome } => {
                let aftermath = Aftermath::of(&inner.progress, outcome);
                self.journal.finish(self.run, number, &inner.progress.plan, outcome, &aftermath)
            }
            _ => self.journal.append(self.run, number, event),
        };
        match written {
            Ok(record) => {
                (self.listener)(self.run, &record);
                let cut = self.snip(Place::AfterRecord);
                if let Err(error) = &cut {
                    inner.broken = Some(error.clone());
                }
                cut
            }
            Err(error) => {
                let error = LedgerError(error.to_string());
                inner.broken = Some(error.clone());
                Err(error)
            }
        }
    }

    fn snip(&self, place: Place) -> Result<(), LedgerError> {
        self.scissors.as_ref().map_or(Ok(()), |scissors| scissors(place))
    }
}

impl Ledger for RunLedger {
    fn record(&self, event: Event) -> Result<(), LedgerError> {
        self.append(event)
    }

    fn cut(&self, point: Cut) -> Result<(), LedgerError> {
        let (name, place) = match point {
            Cut::BeforeEffect => ("before-effect", Place::BeforeEffect),
            Cut::AfterEffect => ("after-effect", Place::AfterEffect),
        };
        failpoint(name);
        let cut = self.snip(place);
        if let Err(error) = &cut {
            self.inner().broken = Some(error.clone());
        }
        cut
    }
}
