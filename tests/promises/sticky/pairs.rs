//! Two affinities: the first that knows a home tells it, and both are told who has served.

use equipoise::affinity::AnyAffinity;

use super::*;

/// Two memories of one clock, and a service over both.
struct Two {
    world: World,
    first: Memory,
    second: Memory,
}

impl Two {
    fn new() -> Self {
        let world = World::new(&["a", "b", "c"]);
        let memory = || Memory::new(world.clock.clock());
        Self {
            first: memory(),
            second: memory(),
            world,
        }
    }

    fn call(&self) -> impl Future<Output = Result<String, Error>> + Unpin + use<> {
        let layer = StickyLayer::new((self.first.clone(), self.second.clone()));
        Box::pin(layer.layer(self.world.balance.clone()).call(Some(1)))
    }

    fn set(&self, first: Option<&str>, second: Option<&str>) {
        for (memory, home) in [(&self.first, first), (&self.second, second)] {
            let mut homes = memory.0.homes.lock().unwrap();
            homes.clear();
            homes.extend(home.map(|home| (1, home.to_owned())));
        }
    }
}

fn delay(memory: &Memory, millis: Option<u64>) {
    let delay = millis.map(Duration::from_millis);
    *memory.0.delays.lock().unwrap() = Delays {
        locate: delay,
        bind: delay,
    };
}

#[test]
fn the_first_that_knows_a_home_tells_it() {
    // How long each takes, now or later.
    for (first, second) in [
        (None, None),
        (Some(5), None),
        (None, Some(5)),
        (Some(5), Some(3)),
        (Some(3), Some(5)),
    ] {
        let two = Two::new();
        delay(&two.first, first);
        delay(&two.second, second);
        for (homes, expected, told) in [
            ((Some("c"), Some("b")), "c", (1, 0)),
            ((Some("c"), None), "c", (1, 0)),
            ((None, Some("b")), "b", (1, 1)),
            ((None, None), "", (1, 1)),
        ] {
            two.set(homes.0, homes.1);
            let mut call = two.call();
            let mut served = poll_once(&mut call);
            for _ in 0..20 {
                if served.is_ready() {
                    break;
                }
                two.world.clock.advance(Duration::from_millis(1));
                served = poll_once(&mut call);
            }
            let Poll::Ready(Ok(served)) = served else {
                panic!("{homes:?}: {served:?}")
            };
            assert!(served.starts_with(expected), "{homes:?}: {served}");
            let of = |memory: &Memory| memory.told().len();
            assert_eq!(
                (of(&two.first), of(&two.second)),
                told,
                "{homes:?} {first:?} {second:?}"
            );
            // Who was asked knows.
            assert_eq!(two.first.home(1).as_deref(), Some(&served[..1]));
        }
    }
}

#[test]
fn both_are_asked_at_once() {
    let two = Two::new();
    delay(&two.first, Some(5));
    delay(&two.second, Some(5));
    two.set(None, Some("b"));
    let mut call = two.call();
    assert!(poll_once(&mut call).is_pending());
    two.world.clock.advance(Duration::from_millis(5));
    assert!(poll_once(&mut call).is_pending(), "now it is bound");
    assert_eq!(two.world.in_flight(), 1);
}

#[test]
fn the_first_passes_on_who_has_won_a_race_at_the_second() {
    for bind in [None, Some(5)] {
        let two = Two::new();
        two.second.0.delays.lock().unwrap().bind = bind.map(Duration::from_millis);
        two.first.0.delays.lock().unwrap().bind = bind.map(Duration::from_millis);
        *two.second.0.winner.lock().unwrap() = Some("c");
        let mut call = two.call();
        let mut served = poll_once(&mut call);
        while served.is_pending() {
            two.world.clock.advance(Duration::from_millis(5));
            served = poll_once(&mut call);
        }
        // Its own answer stands, and the winner is its home.
        assert_eq!(served.map(Result::unwrap), Poll::Ready("a, told, told".to_owned()));
        assert_eq!(two.first.told(), [("c".to_owned(), false, false)]);
        assert_eq!(two.second.told(), [("a".to_owned(), false, false)]);
        assert_eq!(two.first.home(1).unwrap(), "c");
    }
}

#[test]
fn an_affinity_whose_type_is_erased_is_the_same() {
    let two = Two::new();
    two.set(Some("c"), Some("b"));
    for delay_of in [None, Some(5)] {
        delay(&two.first, delay_of);
        let layer = StickyLayer::new(Some(AnyAffinity::new(two.first.clone())));
        let mut call = Box::pin(layer.layer(two.world.balance.clone()).call(Some(1)));
        let mut served = poll_once(&mut call);
        while served.is_pending() {
            two.world.clock.advance(Duration::from_millis(5));
            served = poll_once(&mut call);
        }
        assert_eq!(served.map(Result::unwrap), Poll::Ready("c, told".to_owned()));
    }
    let nobody = StickyLayer::new(None::<AnyAffinity<Option<u32>, String>>);
    let served = nobody
        .layer(two.world.balance.clone())
        .call(Some(1))
        .now_or_never()
        .unwrap();
    assert_eq!(served.unwrap(), "a");
}

#[test]
fn where_neither_knows_a_session_nobody_is_told() {
    let two = Two::new();
    let layer = StickyLayer::new((two.first.clone(), two.second.clone()));
    let served = layer
        .layer(two.world.balance.clone())
        .call(None)
        .now_or_never()
        .unwrap();
    assert_eq!(served.unwrap(), "a");
    assert_eq!((two.first.told(), two.second.told()), (vec![], vec![]));
}
