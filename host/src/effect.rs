//! The one wrapper that every changing verb goes through: journaled before, journaled after.
//!
//! Drivers call [`Effects::perform`]; nothing else in the host may change a live site.

use crate::model::{Failure, VerbError};
use crate::plan::event::{Effect, EffectResult, EffectResultOf, Event};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where events go. The journal's run, or the simulator's.
pub trait Ledger: Send + Sync {
    /// Durable when it returns.
    fn record(&self, event: Event) -> Result<(), LedgerError>;
    /// A place where a test may cut; nothing in a release build.
    fn cut(&self, _point: Cut) -> Result<(), LedgerError> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    BeforeEffect,
    AfterEffect,
}

/// The journal could not be written: nothing more may be done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal could not be written: {0}")]
pub struct LedgerError(pub String);

pub const LEDGER_CODE: &str = "journal";

impl From<LedgerError> for VerbError {
    fn from(error: LedgerError) -> Self {
        VerbError::other(LEDGER_CODE, error.to_string())
    }
}

/// Whether the phase may change the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// detect, path, preflight, edits, verify: changing verbs are refused.
    Reading,
    Changing,
}

/// The effects of one attempt of one step. Clones count on together.
#[derive(Clone)]
pub struct Effects {
    ledger: Arc<dyn Ledger>,
    step: String,
    attempt: u32,
    access: Access,
    number: Arc<AtomicU32>,
    /// Of earlier attempts of the same step: what must not be done twice.
    prior: Vec<EffectResultOf>,
}

impl Effects {
    pub fn new(ledger: Arc<dyn Ledger>, step: &str, attempt: u32, prior: Vec<EffectResultOf>) -> Self {
        Self { ledger, step: step.into(), attempt, access: Access::Changing, number: Arc::default(), prior }
    }

    /// For a phase that only reads: every changing verb is refused.
    pub fn reading() -> Self {
        struct Nowhere;
        impl Ledger for Nowhere {
            fn record(&self, _: Event) -> Result<(), LedgerError> {
                Err(LedgerError("a phase that only reads has no journal".into()))
            }
        }
        let mut effects = Self::new(Arc::new(Nowhere), "", 0, Vec::new());
        effects.access = Access::Reading;
        effects
    }

    /// For what converges and is of no run: whoever does it knows by other means that it is to be done again.
    pub fn unjournaled(step: &str) -> Self {
        struct Unjournaled;
        impl Ledger for Unjournaled {
            fn record(&self, _: Event) -> Result<(), LedgerError> {
                Ok(())
            }
        }
        Self::new(Arc::new(Unjournaled), step, 1, Vec::new())
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// Refuses in a phase that only reads. For verbs that check before they journal.
    pub fn may_change(&self, verb: &str) -> Result<(), VerbError> {
        match self.access {
            Access::Changing => Ok(()),
            Access::Reading => Err(VerbError::Denied(format!("`{verb}` changes the site, and this phase only reads"))),
        }
    }

    /// Journals the effect, does it, journals its end. A verb that converges is `repeatable`; one that isn't and that an
    /// earlier attempt of this step finished is not done again: what it returned then is returned now.
    pub async fn perform<T, F>(
        &self, verb: &str, arguments: &impl Serialize, handle: &str, repeatable: bool, work: F,
    ) -> Result<T, VerbError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, VerbError>>,
    {
        self.may_change(verb)?;
        let arguments = digest(arguments)?;
        if !repeatable
            && let Some(prior) = self.prior.iter().find(|p| p.effect.verb == verb && p.effect.arguments == arguments)
        {
            return match &prior.result {
                EffectResult::Done(value) => serde_json::from_value(value.clone())
                    .map_err(|e| VerbError::other("journal", format!("what `{verb}` returned is unreadable: {e}"))),
                EffectResult::Failed(failure) => Err(VerbError::Other(failure.clone())),
            };
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (step, attempt) = (self.step.clone(), self.attempt);
        self.ledger.record(Event::Effect(Effect {
            step: step.clone(),
            attempt,
            number,
            verb: verb.into(),
            arguments,
            handle: handle.into(),
            repeatable,
        }))?;
        self.ledger.cut(Cut::BeforeEffect)?;
        let outcome = work.await;
        self.ledger.cut(Cut::AfterEffect)?;
        let result = match &outcome {
            Ok(value) => EffectResult::Done(serde_json::to_value(value).unwrap_or_default()),
            Err(error) => EffectResult::Failed(Failure::from(error.clone())),
        };
        self.ledger.record(Event::EffectEnded { step, attempt, number, result })?;
        outcome
    }
}

fn digest(arguments: &impl Serialize) -> Result<String, VerbError> {
    let bytes = serde_json::to_vec(arguments).map_err(|e| VerbError::Invalid(e.to_string()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
