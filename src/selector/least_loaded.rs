//! Least loaded: the fewest requests in flight for its weight, of all or of a few drawn at random.

use super::{
    AnySelector, Choices, Completion, Failures, Members, Needs, Pick, Selector,
    alias::Alias,
    draw::Draw,
    failures::Failing,
    roster::At,
    strategy::named::{Named, Parameter},
};
use crate::backend::Backend;

/// Each request goes to the member with the fewest requests in flight over its weight, of `d` members drawn at
/// random without replacement, by weight; ties go by weight. With d from 3 on, up to 2 `d` members all are looked at,
/// which costs no more. O(d); O(members) with [all](Choices::all).
///
/// Weights are honoured by load: members whose loads over their weights are equal are as welcome. So the shares are
/// those of the weights from about as many requests in flight on as the weights' sum over their greatest common divisor;
/// with fewer, and more than one, a light member that is idle is taken before a heavy one that is not.
///
/// A failure keeps its place, or who fails at once would look idle, and draw everything. It fades, by requests and not by
/// the clock: on average it is kept until eight times as many have begun as are in flight in the pool or, if that is more,
/// as there are members. By Little's law that is eight times as long as a request takes, of a millisecond or an hour, and so
/// who always fails draws about an eighth of a fair share, at any load; and failures that come now and then, to all, weigh
/// in proportion to what is in flight, and leave it to tell who is least loaded.
///
/// It goes by what is in flight: a caller that sends one request after the other leaves nothing to go by, and a slow
/// member gets as many of those as any.
///
/// The default, d = 8, comes closer to looking at all than d = 2, the power of two choices (Mitzenmacher 2001); d = 1 is
/// [`Random`](super::Random). What is in flight is what this process has sent: with very many processes in
/// front of the same members, each sees little.
#[derive(Debug, Default)]
pub struct LeastLoaded {
    choices: Choices,
    failing: Failing,
}

/// What [`LeastLoaded`] prepares: nothing while the weights are equal.
#[derive(Debug)]
pub struct LeastLoadedTable(Option<Alias>);

impl LeastLoaded {
    /// The least loaded of 8.
    pub fn new() -> Self {
        Self::default()
    }

    /// The least loaded of `choices`.
    pub fn of(choices: Choices) -> Self {
        Self {
            choices,
            failing: Failing::default(),
        }
    }

    /// How many are compared.
    pub fn choices(&self) -> Choices {
        self.choices
    }
}

impl Named for Choices {
    const NAME: &'static str = "least_loaded";
    const SUMMARY: &'static str = "the fewest requests in flight for its weight, of d members drawn at random";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter {
        name: "d",
        allowed: Choices::ALLOWED,
        get: |choices| choices.print(),
        set: |_, text| Choices::read(text),
    }];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(LeastLoaded::of(*self))
    }
}

impl<B: Backend> Selector<B> for LeastLoaded {
    type Memory = Failures;
    type Table = LeastLoadedTable;

    fn memory(&self, _: &B) -> Failures {
        Failures::default()
    }

    fn prepare(&self, members: &Members<'_, B, Failures>) -> LeastLoadedTable {
        LeastLoadedTable((!members.equal_weights()).then(|| Alias::new(members)))
    }

    fn needs(&self) -> Needs {
        Needs::nothing().failures()
    }

    #[inline]
    fn select(&self, table: &LeastLoadedTable, pick: &Pick<'_, B, Failures>) -> Option<At> {
        let at = match &table.0 {
            _ if pick.is_empty() => None,
            None if pick.is_plain() => self.draw(None).least_of_equals(pick, |at| pick.plain_load(at) as u32),
            alias => self.draw(alias.as_ref()).least(pick, |at| pick.load(at) as f64),
        }?;
        if self.failing.is_clear() {
            return Some(at);
        }
        self.among_failing(at, table.0.as_ref(), pick)
    }

    fn observe(&self, failures: &Failures, completion: &Completion) {
        self.failing.observe(failures, completion);
    }
}

impl LeastLoaded {
    fn draw<'a>(&self, alias: Option<&'a Alias>) -> Draw<'a> {
        let choices = self.choices;
        Draw { choices, alias }
    }

    /// Some have failed of late. If the one that would be `chosen` has, all are weighed again, with what their failures
    /// weigh.
    #[cold]
    #[inline(never)]
    fn among_failing<B>(&self, chosen: At, alias: Option<&Alias>, pick: &Pick<'_, B, Failures>) -> Option<At> {
        self.failing.pass(pick, f32::INFINITY, |at| pick.load(at) as f32);
        if pick.memory(chosen).is_clear() {
            return Some(chosen);
        }
        let now = self.failing.now();
        let load = |at| pick.load(at) as f64 + f64::from(pick.memory(at).weight(now));
        self.draw(alias).least(pick, load)
    }
}
