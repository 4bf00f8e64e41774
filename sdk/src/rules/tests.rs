//! Tests of rules.

use super::*;
use proptest::prelude::*;

fn known(versions: &[&str]) -> Vec<Known> {
    versions.iter().map(|version| Known::new(*version)).collect()
}

fn targets(legs: &[Leg]) -> Vec<&str> {
    legs.iter().map(|leg| leg.target.as_str()).collect()
}

fn refusal(rules: Rules, known: &[Known], installed: &str, wanted: &str) -> String {
    match rules.path(known, installed, wanted) {
        Err(Error::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn direct_where_nothing_stands_in_between() {
    let legs = Rules::default().path(&known(&["1.2.0", "1.2.1", "1.3.0"]), "1.2.0", "1.3.0").unwrap();
    assert_eq!(targets(&legs), ["1.3.0"]);
    assert_eq!(legs[0].passes, ["1.2.1", "1.3.0"], "the notes of what is passed belong to the hop");
}

#[test]
fn nothing_to_do_where_it_stands_already() {
    assert_eq!(Rules::default().path(&[], "1.2.0", "1.2.0").unwrap(), []);
}

#[test]
fn through_required_stops_and_breaking_releases() {
    let known = [Known::new("1.0.0"), Known::new("1.1.0").stop(), Known::new("1.2.0").breaking(), Known::new("1.3.0")];
    let legs = Rules::default().path(&known, "1.0.0", "1.3.0").unwrap();
    assert_eq!(targets(&legs), ["1.1.0", "1.2.0", "1.3.0"]);
    assert_eq!(legs.iter().map(|leg| leg.breaking).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn minors_one_at_a_time_through_the_newest_of_each() {
    let rules = Rules::default().minors_one_at_a_time();
    let known = known(&["1.2.0", "1.2.9", "1.3.0", "1.3.4", "1.3.5-rc.1", "1.4.0", "1.4.2"]);
    assert_eq!(targets(&rules.path(&known, "1.2.0", "1.4.2").unwrap()), ["1.3.4", "1.4.2"]);
}

#[test]
fn a_missing_minor_is_a_gap() {
    let rules = Rules::default().minors_one_at_a_time();
    let text = refusal(rules, &known(&["1.2.0", "1.4.0"]), "1.2.0", "1.4.0");
    assert!(text.contains("gap") && text.contains("`1.2`") && text.contains("`1.4`"), "{text}");
}

#[test]
fn every_release_but_no_prerelease() {
    let rules = Rules { minors: Minors::EveryRelease, ..Rules::default() };
    let known = known(&["1.0.0", "1.0.1", "1.1.0-rc.1", "1.1.0"]);
    assert_eq!(targets(&rules.path(&known, "1.0.0", "1.1.0").unwrap()), ["1.0.1", "1.1.0"]);
}

#[test]
fn another_major_only_where_it_is_allowed_and_then_as_a_breaking_hop() {
    let known = known(&["1.9.0", "2.0.0"]);
    assert!(refusal(Rules::default(), &known, "1.9.0", "2.0.0").contains("major version"));
    let legs = Rules::default().majors(true).path(&known, "1.9.0", "2.0.0").unwrap();
    assert!(legs[0].breaking);
    let direct = Rules { majors: Majors::Direct, ..Rules::default() };
    assert!(!direct.path(&known, "1.9.0", "2.0.0").unwrap()[0].breaking);
}

#[test]
fn a_downgrade_is_refused_and_the_way_back_named() {
    let text = refusal(Rules::default(), &known(&["1.2.0", "1.3.0"]), "1.3.0", "1.2.0");
    assert!(text.contains("downgrade") && text.contains("upgradectl rollback"), "{text}");
}

#[test]
fn an_unknown_version_names_the_nearest() {
    let text = refusal(Rules::default(), &known(&["1.2.0", "1.3.0"]), "1.2.0", "1.3.O");
    assert_eq!(text, "there is no release `1.3.O`; the nearest is `1.3.0`");
    let text = refusal(Rules::default(), &[], "1.2.0", "1.3.0");
    assert!(text.ends_with("no release is known at all"), "{text}");
}

#[test]
fn an_installed_release_that_nobody_knows_is_a_gap() {
    let text = refusal(Rules::default(), &known(&["1.3.0", "1.4.0"]), "1.1.0", "1.4.0");
    assert!(text.contains("gap") && text.contains("`1.3.0`"), "{text}");
}

#[test]
fn the_same_version_twice_is_a_mistake() {
    let text = refusal(Rules::default(), &known(&["1.3.0", "v1.3"]), "1.3.0", "1.4.0");
    assert!(text.contains("the same version"), "{text}");
}

proptest! {
    /// Whatever is known: a path that is found climbs from what is installed to what is wanted and skips no stop.
    #[test]
    fn a_path_climbs_and_skips_no_stop(
        releases in prop::collection::btree_map((0u64..3, 0u64..4, 0u64..3), (any::<bool>(), any::<bool>()), 2..12),
        minors in prop::sample::select(vec![Minors::Direct, Minors::OneAtATime, Minors::EveryRelease]),
        majors in prop::sample::select(vec![Majors::Refuse, Majors::Breaking, Majors::Direct]),
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let known: Vec<Known> = releases
            .iter()
            .map(|((a, b, c), (stop, breaking))| Known { version: format!("{a}.{b}.{c}"), stop: *stop, breaking: *breaking })
            .collect();
        let (from, to) = (from.index(known.len()), to.index(known.len()));
        let rules = Rules { minors, majors };
        match rules.path(&known, &known[from].version, &known[to].version) {
            Err(error) => prop_assert!(matches!(error, Error::Invalid(_))),
            Ok(legs) if from == to => prop_assert!(legs.is_empty()),
            Ok(legs) => {
                prop_assert!(from < to, "a downgrade went through");
                prop_assert_eq!(&legs[0].source, &known[from].version);
                prop_assert_eq!(&legs[legs.len() - 1].target, &known[to].version);
                prop_assert!(legs.windows(2).all(|pair| pair[0].target == pair[1].source));
                let passed: Vec<&String> = legs.iter().flat_map(|leg| &leg.passes).collect();
                let between: Vec<&String> = known[from + 1..=to].iter().map(|known| &known.version).collect();
                prop_assert_eq!(passed, between, "every release in between belongs to one hop");
                for stop in known[from + 1..to].iter().filter(|known| known.stop || known.breaking) {
                    prop_assert!(legs.iter().any(|leg| leg.target == stop.version), "`{}` was skipped", stop.version);
                }
            }
        }
    }
}
