//! Sessions in a pool that changes.

use std::collections::HashMap;

use equipoise::ErrorKind;

use super::{
    stage::{Browser, Stage, endpoint},
    *,
};

const THREE: [(&str, u32); 3] = [("a", 1), ("b", 1), ("c", 1)];

fn browsers(count: usize) -> Vec<Browser> {
    (0..count).map(|_| Browser::default()).collect()
}

/// Sessions, and where they are at home.
fn settled(stage: &mut Stage, count: usize) -> Vec<(Browser, String)> {
    let settle = |mut browser: Browser| {
        let (home, is_told) = stage.served(&mut browser);
        assert!(is_told, "it is the first of a session");
        (browser, home)
    };
    browsers(count).into_iter().map(settle).collect()
}

#[test]
fn a_session_stays_and_is_told_so_once() {
    let mut stage = Stage::new(&THREE, false, |layer| layer);
    let mut sessions = settled(&mut stage, 9);
    for _ in 0..20 {
        for (browser, home) in &mut sessions {
            assert_eq!(stage.served(browser), (home.clone(), false));
        }
    }
}

#[test]
fn a_session_whose_home_has_left_moves_once_and_stays() {
    for has_failover in [false, true] {
        let mut stage = Stage::new(&THREE, has_failover, |layer| layer);
        let sessions = settled(&mut stage, 30);
        drop(stage.handle.remove("a"));
        stage.drive();
        for (mut browser, home) in sessions {
            let (now, is_told) = stage.served(&mut browser);
            if home == "a" {
                assert!(now != "a" && is_told);
            } else {
                assert_eq!((&now, is_told), (&home, false));
            }
            // Even if it comes back.
            drop(stage.handle.insert(endpoint("a", 1)));
            stage.drive();
            for _ in 0..5 {
                assert_eq!(stage.served(&mut browser), (now.clone(), false));
            }
            drop(stage.handle.remove("a"));
            stage.drive();
        }
    }
}

#[test]
fn a_session_whose_home_refuses_connections_moves_with_its_request() {
    let mut stage = Stage::new(&THREE, true, |layer| layer);
    let sessions = settled(&mut stage, 30);
    stage.is_gone("a");
    for (mut browser, home) in sessions {
        let (now, is_told) = stage.served(&mut browser);
        assert_ne!(now, "a");
        assert_eq!(is_told, home == "a");
        for _ in 0..5 {
            assert_eq!(stage.served(&mut browser), (now.clone(), false));
        }
    }
}

/// With a grace it is a guest elsewhere, and comes back.
#[test]
fn a_guest_stays_at_home() {
    let mut stage = Stage::new(&THREE, true, |layer| layer.grace(MINUTE));
    let mut sessions = settled(&mut stage, 30);
    stage.answers("a", 503);
    for (browser, home) in &mut sessions {
        let (now, is_told) = stage.served(browser);
        assert!(!is_told && now != "a" && (home == "a" || now == *home));
    }
    stage.answers("a", 200);
    for (browser, home) in &mut sessions {
        assert_eq!(stage.served(browser), (home.clone(), false));
    }
}

#[test]
fn a_bad_answer_begins_no_session_and_moves_none() {
    let mut stage = Stage::new(&[("a", 1), ("b", 1)], false, |layer| layer);
    let mut sessions = settled(&mut stage, 2);
    stage.answers("a", 500);
    for _ in 0..4 {
        let (by, is_told) = stage.served(&mut Browser::default());
        assert_eq!(is_told, by == "b");
        for (browser, home) in &mut sessions {
            assert_eq!(stage.served(browser), (home.clone(), false));
        }
    }
}

#[test]
fn who_drains_keeps_its_sessions_and_gets_no_new_ones() {
    let mut stage = Stage::new(&THREE, false, |layer| layer);
    let mut sessions = settled(&mut stage, 300);
    drop(stage.handle.drain("a"));
    stage.drive();
    let at_home = sessions.iter().filter(|(_, home)| home == "a").count();
    assert_eq!(at_home, 100);
    stage.seen("a");
    let mut kept = 0;
    for (browser, home) in &mut sessions {
        let (by, is_told) = stage.served(browser);
        assert_eq!((&by, is_told), (&*home, false));
        kept += usize::from(by == "a");
    }
    assert_eq!((kept, stage.seen("a")), (100, 100), "old sessions: all of them");
    let new = settled(&mut stage, 1_000);
    assert_eq!(
        new.iter().filter(|(_, home)| home == "a").count(),
        0,
        "new sessions: none"
    );
    assert_eq!(stage.seen("a"), 0);
    // Until the time is over that they were given.
    drop(stage.handle.drain_within("a", MINUTE));
    stage.drive();
    stage.pass(MINUTE - Duration::from_secs(1));
    for (browser, home) in &mut sessions {
        assert_eq!(stage.served(browser).0, *home);
    }
    stage.pass(Duration::from_secs(1));
    for (browser, home) in &mut sessions {
        let (by, is_told) = stage.served(browser);
        assert_eq!(is_told, home == "a");
        assert!(by != "a" && (home == "a" || by == *home));
        assert_eq!(stage.served(browser), (by, false));
    }
}

#[test]
fn nobody_but_the_home_will_do_where_it_is_strict() {
    let mut stage = Stage::new(&THREE, false, |layer| layer.strict());
    let mut sessions = settled(&mut stage, 9);
    stage.is_gone("a");
    for (browser, home) in &mut sessions {
        let token = browser.0.clone();
        match stage.ask(browser) {
            Ok((by, _)) => assert_eq!(by, *home),
            Err(kind) => {
                assert!(home == "a", "{kind:?}");
                assert!(matches!(kind, ErrorKind::Backend | ErrorKind::Unavailable), "{kind:?}");
            }
        }
        assert_eq!(browser.0, token);
    }
}

#[test]
fn new_sessions_are_fair_by_weight_while_old_ones_stick() {
    let mut stage = Stage::new(&[("a", 1), ("b", 2), ("c", 3)], false, |layer| layer);
    let mut old = settled(&mut stage, 60);
    let mut shares = HashMap::<String, usize>::new();
    for turn in 0..600 {
        // Old sessions ask in between: those of `a` much, others little.
        for (browser, home) in old.iter_mut().filter(|(_, home)| home == "a" || turn % 10 == 0) {
            assert_eq!(stage.served(browser), (home.clone(), false));
        }
        let (home, _) = stage.served(&mut Browser::default());
        *shares.entry(home).or_default() += 1;
    }
    assert_eq!(["a", "b", "c"].map(|id| shares[id]), [100, 200, 300]);
}
