//! Who comes, or comes back, is brought in by and by.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use equipoise::{
    Selector, SlowStart,
    selector::{At, Members, Needs, Pick, hash},
};

use super::*;

const WINDOW: Duration = Duration::from_secs(30);

fn stage(strategy: &str, count: usize) -> Stage {
    let backends = (0..count).map(|index| endpoint(&index.to_string())).collect();
    Stage::new(strategy, backends, |pool, check| {
        pool.health_check(check).slow_start(SlowStart::over(WINDOW))
    })
}

const STRATEGIES: [&str; 16] = [
    "random",
    "round_robin",
    "least_loaded",
    "fleet_least_loaded",
    "peak_ewma",
    "ring(size=2000)",
    "maglev(size=10007)",
    "rendezvous",
    "jump",
    "ip_hash",
    "least_time",
    "prequal",
    "reported_load",
    "bounded(maglev(size=10007))",
    "bounded(least_loaded)",
    "subset(round_robin,size=20)",
];

#[test]
fn a_newcomer_s_share_follows_the_ramp() {
    let ring = share_of_ring();
    for strategy in STRATEGIES {
        let mut stage = stage(strategy, 9);
        stage.pass(SECOND);
        let full = 1.0 / 10.0;
        drop(stage.pool.handle().insert(endpoint("new")));
        run(&mut stage.driver);
        for (passed, part) in [(0, 0.1), (6, 0.2), (9, 0.5), (12, 0.9), (5, 1.0)] {
            stage.pass(passed * SECOND);
            // A hundredth of them is to be told to within a tenth.
            let share = stage.shares(if part < 0.15 { 200_000 } else { 60_000 })["new"];
            // Of weights w among nine whole ones; of keys that part of its tenth, of which a ring has more or less.
            let exact = match strategy {
                "ring(size=2000)" => ring * part,
                "jump" | "rendezvous" | "ip_hash" => full * part,
                keyed if keyed.contains("maglev") => full * part,
                _ => part / (9.0 + part),
            };
            assert!(
                (share / exact - 1.0).abs() < 0.1,
                "{strategy} at {part}: {share} for {exact}"
            );
        }
    }
}

/// What the newcomer has of this ring once it has all.
fn share_of_ring() -> f64 {
    let ids = (0..9).map(|index| index.to_string()).chain(["new".to_owned()]);
    let backends = ids.map(|id| endpoint(&id)).collect();
    let mut whole = Stage::new("ring(size=2000)", backends, |pool, _| pool);
    whole.shares(200_000)["new"]
}

#[test]
fn each_key_moves_once_and_only_to_the_newcomer() {
    for strategy in ["ring(size=2000)", "maglev(size=10007)", "rendezvous", "jump"] {
        let mut stage = stage(strategy, 9);
        stage.pass(SECOND);
        drop(stage.pool.handle().insert(endpoint("new")));
        run(&mut stage.driver);
        let at = |stage: &mut Stage| -> BTreeMap<u64, String> {
            let keys = (0..4_000u64).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            keys.map(|key| {
                (
                    key,
                    stage
                        .pool
                        .pick(&Ask::new().with_key(key))
                        .unwrap()
                        .backend_id()
                        .to_owned(),
                )
            })
            .collect()
        };
        let mut last = at(&mut stage);
        let mut moves = 0;
        for _ in 0..12 {
            stage.pass(3 * SECOND);
            let now = at(&mut stage);
            for (key, id) in &now {
                if last[key] != *id {
                    assert_eq!(id, "new", "{strategy}: {key} went from {}", last[key]);
                    moves += 1;
                }
            }
            last = now;
        }
        assert!(moves > 200, "{strategy}: {moves}");
    }
}

#[test]
fn who_comes_back_is_brought_in_as_well() {
    let mut stage = stage("random", 10);
    stage.answers.set("3", Err("no"));
    stage.pass(8 * SECOND);
    stage.answers.set("3", Ok(Report::new()));
    let passing = |event: &Event| {
        matches!(
            event,
            Event::HealthChanged {
                health: equipoise::Health::Passing,
                ..
            }
        )
    };
    while !stage.told().iter().any(passing) {
        stage.pass(Duration::from_millis(50));
    }
    assert!(stage.member("3").part < 0.11);
    stage.pass(WINDOW / 2);
    let share = stage.shares(60_000)["3"];
    assert!((share / (0.5 / 9.5) - 1.0).abs() < 0.1, "{share}");
    // A drain that ends as well.
    stage.pass(WINDOW);
    drop(stage.pool.handle().drain("4"));
    run(&mut stage.driver);
    drop(stage.pool.handle().undrain("4"));
    run(&mut stage.driver);
    assert!(stage.member("4").part < 0.11);
}

#[test]
fn who_comes_alone_or_with_all_others_has_its_share_at_once() {
    let mut stage = stage("random", 4);
    assert!(stage.pool.members().iter().all(|member| member.part == 1.0));
    for id in ["0", "1", "2", "3"] {
        drop(stage.pool.handle().remove(id));
    }
    drop(stage.pool.handle().insert(endpoint("a")));
    drop(stage.pool.handle().insert(endpoint("b")));
    run(&mut stage.driver);
    assert!(stage.pool.members().iter().all(|member| member.part == 1.0));
}

/// Who becomes fit would get less than those that are not, and the first of all more than it can bear.
#[test]
fn nobody_is_brought_in_where_all_count() {
    let mut stage = stage("random", 10);
    for id in 0..8 {
        stage.answers.set(&id.to_string(), Err("no"));
    }
    stage.pass(10 * SECOND);
    assert!(stage.told().contains(&Event::PanicStarted { priority: 0 }));
    for (id, ends) in [("0", false), ("1", false), ("2", true)] {
        stage.answers.set(id, Ok(Report::new()));
        stage.pass(10 * SECOND);
        assert_eq!(stage.told().contains(&Event::PanicEnded { priority: 0 }), ends);
    }
    // They were there all the time.
    for id in ["0", "1", "2", "8", "9"] {
        assert_eq!(stage.member(id).part, 1.0, "{id}");
    }
}

#[test]
fn a_newcomer_serves_every_key_where_nobody_else_does() {
    let mut stage = stage("maglev(size=1009)", 1);
    stage.pass(SECOND);
    drop(stage.pool.handle().insert(endpoint("new")));
    run(&mut stage.driver);
    let _held = stage.member("0");
    drop(stage.pool.handle().drain("0"));
    run(&mut stage.driver);
    for key in 0..100 {
        assert_eq!(stage.pool.pick(&Ask::new().with_key(key)).unwrap().backend_id(), "new");
    }
}

/// Maglev that counts its tables.
struct Counting(hash::Maglev, Arc<AtomicUsize>);

impl Selector<Plain> for Counting {
    type Memory = ();
    type Table = <hash::Maglev as Selector<Plain>>::Table;

    fn memory(&self, _: &Plain) {}
    fn prepare(&self, members: &Members<'_, Plain, ()>) -> Self::Table {
        self.1.fetch_add(1, SeqCst);
        self.0.prepare(members)
    }
    fn needs(&self) -> Needs {
        Selector::<Plain>::needs(&self.0)
    }
    fn select(&self, table: &Self::Table, pick: &Pick<'_, Plain, ()>) -> Option<At> {
        self.0.select(table, pick)
    }
}

#[test]
fn what_goes_by_key_is_not_rebuilt_while_a_member_is_brought_in() {
    let (time, tables) = (ManualClock::new(), Arc::<AtomicUsize>::default());
    let selector = Counting(hash::Maglev::new(), Arc::clone(&tables));
    let builder = Pool::builder_on(time.clock())
        .selector(selector)
        .backends(endpoints(&["a", "b"]));
    let (mut pool, mut driver) = builder.slow_start(SlowStart::over(WINDOW)).build();
    drop(pool.handle().insert(endpoint("new")));
    run(&mut driver);
    let its = |pool: &mut Pool<Plain, Counting>| {
        let keys = (0..20_000).map(key_of);
        let of = |key| pool.pick(&Ask::new().with_key(key)).unwrap().backend_id() == "new";
        keys.map(of).filter(|is_its| *is_its).count() as f64 / 20_000.0
    };
    let before = tables.load(SeqCst);
    let mut last = its(&mut pool);
    for _ in 0..9 {
        time.advance(WINDOW / 10);
        run(&mut driver);
        let now = its(&mut pool);
        assert!(now >= last, "{now} after {last}");
        last = now;
        let part = pool.members().iter().map(|member| member.part).fold(1.0, f32::min);
        assert!((f64::from(part) - now * 3.0).abs() < 0.05, "{part} for {now}");
    }
    assert_eq!(tables.load(SeqCst), before);
    time.advance(WINDOW);
    run(&mut driver);
    assert_eq!(tables.load(SeqCst), before + 1, "it is as all others from now on");
    assert!(is_near(its(&mut pool), 1.0 / 3.0));
}

#[test]
fn its_begin_and_its_end_are_told() {
    let mut stage = stage("random", 2);
    drop(stage.pool.handle().insert(endpoint("new")));
    let id: Arc<str> = "new".into();
    let started = Event::SlowStartStarted { id: Arc::clone(&id) };
    assert_eq!(stage.told(), [Event::Added { id: Arc::clone(&id) }, started]);
    stage.pass(WINDOW - SECOND);
    assert_eq!(stage.told(), []);
    stage.pass(2 * SECOND);
    assert_eq!(stage.told(), [Event::SlowStartEnded { id }]);
}

#[test]
fn each_weight_counts_while_it_grows() {
    let backends = vec![endpoint("a").with_weight(1), endpoint("b").with_weight(3)];
    let mut stage = Stage::new("random", backends, |pool, _| pool.slow_start(SlowStart::over(WINDOW)));
    drop(stage.pool.handle().insert(endpoint("new").with_weight(4)));
    run(&mut stage.driver);
    stage.pass(WINDOW / 2);
    let shares = stage.shares(60_000);
    assert!(
        is_near(shares["a"], 1.0 / 6.0) && is_near(shares["new"], 2.0 / 6.0),
        "{shares:?}"
    );
}

#[test]
fn whoever_serves_no_longer_is_no_longer_brought_in() {
    let mut stage = stage("random", 3);
    drop(stage.pool.handle().insert(endpoint("new")));
    run(&mut stage.driver);
    stage.pass(SECOND);
    stage.told();
    drop(stage.pool.handle().drain("new"));
    let (started, ended) = (|id| Event::SlowStartStarted { id }, |id| Event::SlowStartEnded { id });
    assert!(stage.told().contains(&ended("new".into())));
    drop(stage.pool.handle().undrain("new"));
    assert!(stage.told().contains(&started("new".into())));
}
