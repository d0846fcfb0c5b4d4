//! What members go through while a selector chooses among them.

use std::time::Duration;

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use super::{Suite, Violation, world::World};
use crate::{AbsurdLoad, Ask, Backend, LoadReport, Outcome, Selector};

/// One thing that happens. Members are named by a number of any size, modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Insert(u32, Option<u32>),
    Update(usize, u32, Option<u32>),
    Remove(usize),
    Drain(usize),
    Undrain(usize),
    Load(usize),
    Unload(usize, Outcome),
    /// A request that ends so, or goes on.
    Request(Option<u64>, Option<Outcome>),
    Advance(u64),
    /// What a member says of its load.
    Report(usize, LoadReport),
    /// Look whom the selector chooses, with these tried before.
    Look(Option<u64>, Vec<usize>),
}

/// Where a sequence starts, and what happens then.
#[derive(Clone, Debug)]
struct Sequence {
    seed: u64,
    members: Vec<(u32, Option<u32>)>,
    steps: Vec<Step>,
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        2 => Just(0),
        6 => Just(1),
        1 => Just(u32::MAX),
        3 => 1..10_u32,
        1 => any::<u32>(),
    ]
}

fn limit() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(0)),
        4 => (1..4_u32).prop_map(Some),
        1 => Just(Some(u32::MAX)),
    ]
}

/// Around the numbers at which selectors change their ways.
fn number() -> impl Strategy<Value = usize> {
    prop_oneof![
        5 => 0..5_usize,
        3 => 7..10_usize,
        3 => 15..19_usize,
        1 => 63..67_usize,
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        1 => Just(Outcome::Failure),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Broken),
    ]
}

fn key(keyed: bool) -> impl Strategy<Value = Option<u64>> {
    let some = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Some);
    if keyed {
        some().boxed()
    } else {
        prop_oneof![Just(None), some()].boxed()
    }
}

/// What there may be of a load; the absurd can't even be said.
fn amount() -> impl Strategy<Value = Option<f64>> {
    option::of(prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(f64::MIN_POSITIVE),
        0.0..10.0_f64,
        0.0..1e8_f64,
    ])
}

fn report() -> impl Strategy<Value = LoadReport> {
    let rates = (amount(), amount());
    (amount(), amount(), rates, option::of(any::<u32>())).prop_map(|(queue, utilization, (qps, eps), millis)| {
        let latency = millis.map(|millis| Duration::from_millis(millis.into()));
        let report = LoadReport::new();
        let report = with(report, queue, LoadReport::with_queue);
        let report = with(report, utilization, LoadReport::with_utilization);
        let report = with(report, qps, LoadReport::with_qps);
        let report = with(report, eps, LoadReport::with_eps);
        with(report, latency, LoadReport::with_latency)
    })
}

/// With this amount as well, unless it is refused.
fn with<T>(
    report: LoadReport,
    amount: Option<T>,
    set: fn(LoadReport, T) -> Result<LoadReport, AbsurdLoad>,
) -> LoadReport {
    let more = amount.and_then(|amount| set(report, amount).ok());
    more.unwrap_or(report)
}

fn sequence(keyed: bool) -> impl Strategy<Value = Sequence> {
    let which = any::<usize>;
    let step = prop_oneof![
        2 => (weight(), limit()).prop_map(|(weight, limit)| Step::Insert(weight, limit)),
        2 => (which(), weight(), limit()).prop_map(|(which, weight, limit)| Step::Update(which, weight, limit)),
        2 => which().prop_map(Step::Remove),
        2 => which().prop_map(Step::Drain),
        1 => which().prop_map(Step::Undrain),
        4 => which().prop_map(Step::Load),
        2 => (which(), outcome()).prop_map(|(which, outcome)| Step::Unload(which, outcome)),
        6 => (key(keyed), option::of(outcome())).prop_map(|(key, outcome)| Step::Request(key, outcome)),
        1 => (0..15_000_u64).prop_map(Step::Advance),
        4 => (which(), report()).prop_map(|(which, report)| Step::Report(which, report)),
        4 => (key(keyed), vec(which(), 0..4)).prop_map(|(key, tried)| Step::Look(key, tried)),
    ];
    let one_for_all = number().prop_flat_map(|number| (weight(), limit()).prop_map(move |both| vec![both; number]));
    let each_its_own = number().prop_flat_map(|number| vec((weight(), limit()), number));
    let unlimited = number().prop_flat_map(|number| vec((weight(), Just(None)), number));
    let members = prop_oneof![one_for_all, each_its_own, unlimited];
    (any::<u64>(), members, vec(step, 0..40)).prop_map(|(seed, members, steps)| Sequence { seed, members, steps })
}

/// Always the same sequences: a failure comes again, and a success too.
pub(super) fn sequences<B: Backend, S: Selector<B>>(suite: &Suite<S, B>) -> Result<(), Violation> {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let run = runner.run(&sequence(suite.is_keyed()), |sequence| {
        play(suite, &sequence).map_err(|violation| TestCaseError::fail(format!("{violation}")))
    });
    run.map_err(|error| match error {
        TestError::Abort(why) => Violation::new(format!("could not be tested: {why}")),
        TestError::Fail(why, sequence) => {
            let why = why.message();
            // A panic comes without our words.
            let why = why
                .strip_prefix("the selector ")
                .map_or(format!("panicked: {why}"), str::to_owned);
            Violation::new(format!("{why}\nin this sequence: {sequence:#?}"))
        }
    })
}

fn play<B: Backend, S: Selector<B>>(suite: &Suite<S, B>, sequence: &Sequence) -> Result<(), Violation> {
    let mut world = World::new(suite, sequence.seed, &sequence.members);
    let plain = ask(suite.is_keyed().then_some(sequence.seed));
    world.check(&plain)?;
    for step in &sequence.steps {
        let count = world.members.len();
        let at = |which: &usize| which % count;
        match step {
            Step::Insert(weight, limit) => world.insert(*weight, *limit)?,
            Step::Request(key, outcome) => drop(world.request(&ask(*key), *outcome)),
            Step::Advance(millis) => world.advance(Duration::from_millis(*millis))?,
            Step::Look(key, tried) => {
                let tried = tried.iter().filter(|_| count > 0).map(at);
                let looked = tried.fold(ask(*key), |ask, index| world.tried(ask, index));
                world.check(&looked)?;
            }
            _ if count == 0 => {}
            Step::Update(which, weight, limit) => world.update(at(which), *weight, *limit)?,
            Step::Remove(which) => world.remove(at(which))?,
            Step::Drain(which) => world.drain(at(which), true)?,
            Step::Undrain(which) => world.drain(at(which), false)?,
            Step::Report(which, report) => world.report(at(which), report),
            Step::Load(which) => world.load(at(which)),
            Step::Unload(which, outcome) => world.unload(at(which), *outcome),
        }
        world.check(&plain)?;
    }
    Ok(())
}

fn ask(key: Option<u64>) -> Ask {
    key.map_or(Ask::new(), |key| Ask::new().with_key(key))
}

/// How many members: around every number at which a selector of this crate changes its ways.
const NUMBERS: [usize; 14] = [0, 1, 2, 3, 4, 8, 9, 16, 17, 32, 33, 64, 65, 300];

/// Weights by the member's index and how many there are.
const WEIGHTS: [fn(usize, usize) -> u32; 8] = [
    |_, _| 0,
    |_, _| 1,
    |_, _| u32::MAX,
    |index, _| [0, 1, u32::MAX][index % 3],
    |index, _| if index == 0 { u32::MAX } else { 1 },
    |index, number| if index + 1 == number { u32::MAX - 1 } else { 1 },
    |index, _| 1 << (index % 32),
    |index, _| index as u32,
];

/// Few shapes, but each in full: every member open, all but one closed in each way there is, all closed.
pub(super) fn extremes<B: Backend, S: Selector<B>>(suite: &Suite<S, B>) -> Result<(), Violation> {
    for number in NUMBERS {
        for weight in WEIGHTS {
            let members: Vec<_> = (0..number).map(|index| (weight(index, number), Some(1))).collect();
            let unlimited: Vec<_> = members.iter().map(|(weight, _)| (*weight, None)).collect();
            all_open(&mut World::new(suite, 1, &unlimited))?;
            // Each look at a member goes through the list of those tried.
            if number <= 65 {
                all_but_one_tried(&mut World::new(suite, 2, &unlimited))?;
            }
            all_but_one_full(&mut World::new(suite, 3, &members))?;
        }
    }
    let many = vec![(1, None); 1_000];
    all_open(&mut World::new(suite, 4, &many))
}

fn all_open<B: Backend, S: Selector<B>>(world: &mut World<'_, B, S>) -> Result<(), Violation> {
    (0..16).try_for_each(|_| world.check_all())
}

/// The first, one in the middle and the last of those that can be chosen at all.
fn lucky<B: Backend, S: Selector<B>>(world: &World<'_, B, S>) -> Vec<usize> {
    let weighty: Vec<usize> = (0..world.members.len())
        .filter(|index| world.members[*index].weight > 0)
        .collect();
    let some = [weighty.first(), weighty.get(weighty.len() / 2), weighty.last()];
    some.into_iter().flatten().copied().collect()
}

fn all_but_one_tried<B: Backend, S: Selector<B>>(world: &mut World<'_, B, S>) -> Result<(), Violation> {
    let everybody = 0..world.members.len();
    for plain in world.asks() {
        for lucky in lucky(world) {
            let others = everybody.clone().filter(|index| *index != lucky);
            let tried = others.fold(plain.clone(), |ask, index| world.tried(ask, index));
            world.check(&tried)?;
        }
        let tried = everybody.clone().fold(plain, |ask, index| world.tried(ask, index));
        world.check(&tried)?;
    }
    Ok(())
}

/// Expects members with a limit of 1.
fn all_but_one_full<B: Backend, S: Selector<B>>(world: &mut World<'_, B, S>) -> Result<(), Violation> {
    (0..world.members.len()).for_each(|index| world.load(index));
    world.check_all()?;
    for lucky in lucky(world) {
        world.unload(lucky, Outcome::Success);
        world.check_all()?;
        world.load(lucky);
    }
    Ok(())
}
