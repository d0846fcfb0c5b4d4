//! The suite that holds the contract: selectors that break it do not pass.

use super::*;

/// What a bad selector does in place of a choice.
type Choice = fn(&Pick<'_, Endpoint<()>, ()>) -> Option<At>;

struct Bad(Choice);

impl Selector<Endpoint<()>> for Bad {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &Endpoint<()>) {}

    fn prepare(&self, _: &Members<'_, Endpoint<()>, ()>) {}

    fn select(&self, (): &(), pick: &Pick<'_, Endpoint<()>, ()>) -> Option<At> {
        (self.0)(pick)
    }
}

/// Both tests of the contract fail, each with these words.
fn breaks(choice: Choice, words: &str) {
    let suite = Suite::new(move || Bad(choice));
    for violation in [suite.picks_open_members(), suite.bears_extremes()] {
        let violation = violation.expect_err(words).to_string();
        assert!(violation.contains(words), "{violation}");
    }
    assert!(suite.check().is_err());
}

#[test]
fn a_selector_that_takes_closed_members_fails() {
    breaks(|pick| pick.iter().next(), "which is closed");
    breaks(|pick| pick.iter().last(), "which is closed");
}

#[test]
fn a_selector_that_gives_up_early_fails() {
    breaks(
        |pick| pick.iter().next().filter(|at| pick.is_open(*at)),
        "chose nobody while 'm",
    );
    // Two tries are not enough either.
    let twice = |pick: &Pick<'_, Endpoint<()>, ()>| {
        let mut tries = (0..2)
            .filter(|_| !pick.is_empty())
            .map(|_| pick.at(pick.below(pick.len() as u64) as usize));
        tries.find(|at| pick.is_open(*at))
    };
    breaks(twice, "chose nobody while 'm");
}

#[test]
fn a_selector_that_panics_fails() {
    breaks(|pick| pick.next_open(pick.at(0)), "panicked: no member at 0");
    // A sum of weights that is too small for them.
    let overflows = |pick: &Pick<'_, Endpoint<()>, ()>| {
        let sum = pick.iter().try_fold(0_u32, |sum, at| sum.checked_add(pick.weight(at)));
        sum.expect("a sum of weights");
        pick.any_open()
    };
    breaks(overflows, "panicked: a sum of weights");
}

#[test]
fn a_selector_that_ignores_weights_fails() {
    let even = |pick: &Pick<'_, Endpoint<()>, ()>| {
        let open: Vec<At> = pick.iter().filter(|at| pick.is_open(*at)).collect();
        (!open.is_empty()).then(|| open[pick.below(open.len() as u64) as usize])
    };
    let suite = Suite::new(move || Bad(even));
    // It keeps the rest of the contract.
    suite.picks_open_members().unwrap();
    suite.bears_extremes().unwrap();
    let violation = suite.honours_weights().unwrap_err().to_string();
    assert!(violation.contains("does not honour weights"), "{violation}");
    assert!(suite.check().is_err());
    // With enough tolerance anything goes.
    suite.tolerance(1e12).check().unwrap();
}

#[test]
fn a_keyed_suite_has_a_key_in_every_ask_and_a_plain_one_has_not() {
    let keyed = |pick: &Pick<'_, Endpoint<()>, ()>| {
        pick.ask().key().expect("a key");
        pick.any_open()
    };
    Suite::new(move || Bad(keyed)).keyed().check().unwrap();
    breaks(keyed, "panicked: a key");
}

/// Keeps its first table for ever.
struct Stale(std::sync::OnceLock<Vec<At>>);

impl<B: Backend> Selector<B> for Stale {
    type Memory = ();
    type Table = Vec<At>;

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) -> Vec<At> {
        self.0.get_or_init(|| members.iter().collect()).clone()
    }

    fn select(&self, table: &Vec<At>, _: &Pick<'_, B, ()>) -> Option<At> {
        table.first().copied()
    }
}

/// Fails once the members have changed.
struct Brittle;

impl<B: Backend> Selector<B> for Brittle {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) {
        assert!(
            members.iter().all(|at| members.backend(at).id() != "m5"),
            "no fifth member"
        );
    }

    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        pick.any_open()
    }
}

#[test]
fn a_selector_that_clings_to_old_positions_or_fails_to_prepare_fails() {
    let stale = Suite::new(|| Stale(std::sync::OnceLock::new())).picks_open_members();
    assert!(stale.is_err());
    let brittle = Suite::new(|| Brittle).picks_open_members().unwrap_err().to_string();
    assert!(brittle.contains("panicked"), "{brittle}");
    assert!(brittle.contains("no fifth member"), "{brittle}");
}
