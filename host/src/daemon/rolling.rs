//! Hops that keep serving: whether they may, and for how long something was away all the same. Pure.

use super::views::seconds;
use crate::driver::compose::REPLACE;
use crate::journal::Record;
use crate::model::{Finding, Hop, Undo};
use crate::plan::event::Event;

/// One blocker for each hop that lets the old release serve on beside the new one, and does not say that it can.
pub fn unfit(hops: &[Hop]) -> Vec<Finding> {
    hops.iter().filter(|hop| hop.keeps_serving() && !hop.rolls()).map(blocker).collect()
}

fn blocker(hop: &Hop) -> Finding {
    let missing: Vec<&str> = [
        (!hop.expand_only).then_some("that the release before runs on its schema (`expand-only`)"),
        (!hop.undo.contains(&Undo::CodeOnly)).then_some("that the way back leaves the data as it is (`code-only`)"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let message =
        format!("{} rolls while users write, and its release does not say {}", hop.target, missing.join(", nor "));
    Finding::blocker("host", "rolling", message)
        .hint("leave `rolling` away, so that the gate is shut meanwhile, or ask the vendor")
}

/// Of a run that rolls: how long services that can't be two at once were away; none where there was none.
pub fn away(records: &[Record]) -> Option<f64> {
    let (mut since, mut total) = (None, None);
    for record in records {
        match &record.event {
            Event::Effect(effect) if effect.verb == REPLACE => _ = since.get_or_insert(record.at),
            Event::Succeeded { .. } | Event::Failed { .. } => {
                if let Some(since) = since.take() {
                    *total.get_or_insert(0.0) += seconds(since, record.at);
                }
            }
            _ => {}
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Act, ServiceRef, Wave};

    fn hop(rolling: &[bool], expand_only: bool, undo: Vec<Undo>) -> Hop {
        let service = || ServiceRef { platform: "main".into(), name: "web".into() };
        let wave = |rolling: &bool| Act::Wave(Wave { services: vec![service()], rolling: *rolling, follow: vec![] });
        Hop {
            source: "1".into(),
            target: "2".into(),
            acts: rolling.iter().map(wave).collect(),
            undo,
            expand_only,
            requires: vec![],
            breaking: false,
            rest: false,
            quiesce: vec![],
            gate: vec![],
            expected_seconds: None,
            notes: vec![],
        }
    }

    #[test]
    fn a_hop_that_rolls_says_that_it_can() {
        assert!(unfit(&[hop(&[true, true], true, vec![Undo::CodeOnly])]).is_empty());
        let said = |hop: Hop| unfit(&[hop]).iter().map(|finding| finding.message.clone()).collect::<String>();
        let both = said(hop(&[true], false, vec![Undo::RestoreData]));
        assert!(both.contains("`expand-only`") && both.contains("`code-only`"), "{both}");
        assert!(!said(hop(&[true], true, vec![])).contains("`expand-only`"));
        assert!(said(hop(&[true, false], false, vec![])).is_empty(), "not all of it rolls");
        let shut = Hop {
            gate: vec![ServiceRef { platform: "main".into(), name: "proxy".into() }],
            ..hop(&[true], false, vec![])
        };
        assert!(said(shut).is_empty(), "users are shut out");
    }
}
