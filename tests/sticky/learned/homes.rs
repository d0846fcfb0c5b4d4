//! Homes: whole balancers, whose sessions stay where their data is until it is migrated.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use equipoise::{
    Assigned, Backend, BalanceLayer, BoxError, Driver, Endpoint, Home, LeastLoaded, Locality, ManualClock, Pool,
    StickyLayer,
    learned::{Learned, SessionId, Sessions},
};
use futures_util::FutureExt;
use tower::{Layer, ServiceExt, service_fn};

use super::*;

type Plain = Endpoint<()>;
type Zoned = (Pool<Plain, LeastLoaded>, Driver<Plain, LeastLoaded>);

/// Two backends in each of two zones.
fn pool(zone: &str, time: &ManualClock) -> Zoned {
    let backends = ["1", "2"].into_iter().flat_map(|zone| {
        let locality = Locality::new("eu", zone);
        ["a", "b"].map(|name| Endpoint::new(format!("{name}{zone}"), ()).with_locality(locality.clone()))
    });
    let builder = Pool::builder_on(time.clock()).backends(backends).seed(1);
    builder.locality(Locality::new("eu", zone)).build()
}

/// By whom a request of this session is served.
fn call(pool: &Pool<Plain, LeastLoaded>, sessions: &Sessions, session: &str) -> String {
    let inner = service_fn(|call: Assigned<String, Plain>| ready(Ok::<_, BoxError>(call.backend.id().to_owned())));
    let learned = Learned::by(sessions.clone(), |name: &String| Some(name.as_str().into()));
    let sticky = StickyLayer::new(learned).layer(BalanceLayer::new(pool.clone()).layer(inner));
    sticky.oneshot(session.to_owned()).now_or_never().unwrap().unwrap()
}

#[test]
fn a_session_made_in_one_zone_stays_there_from_another_until_it_is_migrated() {
    let time = ManualClock::new();
    let (near, _driver) = pool("1", &time);
    let (far, _other) = pool("2", &time);
    // Two balancers that share a store, and one table that both use.
    let store = Script::new(&time);
    let shared = || sessions(&time).store(store.clone()).build();
    let one = sessions(&time).build();
    for (here, there) in [(shared(), shared()), (one.clone(), one)] {
        for index in 0..50 {
            let session = format!("session {index}");
            assert!(
                call(&far, &there, &format!("other {index}")).ends_with('2'),
                "new ones stay near"
            );
            let home = call(&near, &here, &session);
            assert!(home.ends_with('1'), "{home}");
            for _ in 0..3 {
                assert_eq!(call(&far, &there, &session), home);
            }
            let id = there.id(session.as_bytes());
            there.migrate(id, Home::new("b2")).now_or_never().unwrap().unwrap();
            assert_eq!(call(&near, &here, &session), "b2");
            assert_eq!(call(&far, &there, &session), "b2");
        }
    }
}

#[test]
fn a_backend_that_retires_loses_its_sessions_to_those_chosen_and_gets_no_new_ones() {
    let time = ManualClock::new();
    let store = Script::new(&time);
    for is_shared in [false, true] {
        let sessions = match is_shared {
            false => sessions(&time).build(),
            true => sessions(&time).store(store.clone()).build(),
        };
        let (pool, mut driver) = pool("1", &time);
        let name = |index: u32| format!("session {index}");
        let mut homes: BTreeMap<u32, String> = BTreeMap::new();
        for index in 0..400 {
            homes.insert(index, call(&pool, &sessions, &name(index)));
        }
        let at_a1 = homes.values().filter(|home| *home == "a1").count();
        assert!((100..300).contains(&at_a1), "{at_a1}");
        let mut applied = pool.handle().drain("a1");
        assert!((&mut driver).now_or_never().is_none() && (&mut applied).now_or_never().is_some());
        // While it drains it has its sessions, and no new ones.
        for index in 0..800 {
            let home = call(&pool, &sessions, &name(index));
            match homes.get(&index) {
                Some(known) => assert_eq!(home, *known),
                None => assert_ne!(home, "a1"),
            }
            homes.insert(index, home);
        }
        let targets = [Home::new("b1"), Home::new("b2")];
        let asked = Arc::new(AtomicU64::new(0));
        let asks = asked.clone();
        let choose = move |id: SessionId| {
            asks.fetch_add(1, Relaxed);
            targets[usize::from(id.to_bytes()[0] % 2)].clone()
        };
        let moved = sessions.migrate_all(Home::new("a1"), choose).now_or_never().unwrap();
        assert_eq!(moved.unwrap(), at_a1 as u64);
        let tables = if is_shared { 2 } else { 1 };
        assert_eq!(asked.load(Relaxed), (at_a1 * tables) as u64, "for no others");
        let mut to: BTreeMap<String, u32> = BTreeMap::new();
        for (index, home) in &homes {
            let now = call(&pool, &sessions, &name(*index));
            if home == "a1" {
                *to.entry(now).or_default() += 1;
            } else {
                assert_eq!(now, *home, "no others move");
            }
        }
        assert_eq!(to.keys().collect::<Vec<_>>(), ["b1", "b2"]);
        assert!(to.values().all(|count| *count as usize * 3 > at_a1), "{to:?}");
        let again = sessions.migrate_all(Home::new("a1"), |_| Home::new("b1"));
        assert_eq!(again.now_or_never().unwrap().unwrap(), 0);
        assert_eq!(sessions.stats().moved, at_a1 as u64);
    }
}

/// The whole way, when a home fails: moved once, and it stays, also when the old home is back.
#[test]
fn a_session_whose_home_has_left_moves_and_stays() {
    let time = ManualClock::new();
    let (pool, mut driver) = pool("1", &time);
    let sessions = sessions(&time).build();
    let home = call(&pool, &sessions, "ann");
    let mut removed = pool.handle().remove(&*home);
    assert!((&mut driver).now_or_never().is_none() && (&mut removed).now_or_never().is_some());
    let next = call(&pool, &sessions, "ann");
    assert_ne!(next, home);
    let mut back = pool
        .handle()
        .insert(Endpoint::new(&*home, ()).with_locality(Locality::new("eu", "1")));
    assert!((&mut driver).now_or_never().is_none() && (&mut back).now_or_never().is_some());
    for _ in 0..20 {
        assert_eq!(call(&pool, &sessions, "ann"), next);
    }
    assert_eq!(sessions.stats().moved, 1);
}
