//! How long sessions last, to the millisecond.

use proptest::prelude::*;

use super::*;

const INSTANT: Duration = Duration::from_millis(1);

#[test]
fn a_session_lasts_for_its_idle_time_and_at_most_a_tenth_longer() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let pair = fresh(&cookie, "a");
    wall.pass(IDLE + IDLE / 10);
    assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("a"));
    wall.pass(INSTANT);
    assert_eq!(home(&cookie, &[pair.as_bytes()]), None);
    // It is as if there were none: whoever serves is the home of a new session.
    let new = told(&cookie, &[pair.as_bytes()], Served::new("b")).unwrap();
    assert_eq!(home(&cookie, &[new.as_bytes()]).as_deref(), Some("b"));
}

#[test]
fn a_token_is_renewed_when_a_tenth_of_the_idle_time_has_passed() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let pair = fresh(&cookie, "a");
    for served in [Served::new("a"), Served::new("b").as_guest(true)] {
        assert_eq!(told(&cookie, &[pair.as_bytes()], served), None);
    }
    wall.pass(IDLE / 10 - INSTANT);
    assert_eq!(told(&cookie, &[pair.as_bytes()], Served::new("a")), None);
    wall.pass(INSTANT);
    for served in [
        Served::new("a"),
        Served::new("a").badly(true),
        Served::new("b").as_guest(true),
        Served::new("b").badly(true),
    ] {
        let renewed = told(&cookie, &[pair.as_bytes()], served).expect("due");
        assert_eq!(home(&cookie, &[renewed.as_bytes()]).as_deref(), Some("a"), "{served:?}");
        assert_eq!(told(&cookie, &[renewed.as_bytes()], served), None, "{served:?}");
    }
    let renewed = told(&cookie, &[pair.as_bytes()], Served::new("a")).unwrap();
    wall.pass(IDLE + IDLE / 10);
    assert_eq!(home(&cookie, &[renewed.as_bytes()]).as_deref(), Some("a"));
    wall.pass(INSTANT);
    assert_eq!(home(&cookie, &[renewed.as_bytes()]), None);
}

#[test]
fn a_session_that_is_never_idle_ends_all_the_same() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let mut pair = fresh(&cookie, "a");
    let mut renewed = 0;
    for _ in 0..24 * 60 {
        wall.pass(MINUTE);
        assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("a"));
        if let Some(new) = told(&cookie, &[pair.as_bytes()], Served::new("a")) {
            pair = new;
            renewed += 1;
        }
    }
    assert_eq!(renewed, 24 * 60 / 3, "each 3 minutes");
    wall.pass(INSTANT);
    assert_eq!(home(&cookie, &[pair.as_bytes()]), None);
}

/// A session that moves is the same session.
#[test]
fn to_move_makes_no_session_younger() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let mut pair = fresh(&cookie, "0");
    for hour in 1..=24 * 4 {
        wall.pass(MINUTE * 15);
        pair = told(&cookie, &[pair.as_bytes()], Served::new(&hour.to_string())).unwrap();
        assert_eq!(home(&cookie, &[pair.as_bytes()]), Some(hour.to_string()));
    }
    wall.pass(INSTANT);
    assert_eq!(home(&cookie, &[pair.as_bytes()]), None);
}

#[test]
fn a_token_may_come_from_a_clock_that_is_5_minutes_fast() {
    let wall = Wall::new();
    let cookie = cookie(&wall);
    let pair = fresh(&cookie, "a");
    wall.back(MINUTE * 5);
    assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("a"));
    assert_eq!(told(&cookie, &[pair.as_bytes()], Served::new("a")), None, "not due");
    wall.back(INSTANT);
    assert_eq!(home(&cookie, &[pair.as_bytes()]), None);
}

#[test]
fn no_clock_and_no_time_is_too_much() {
    let epoch = SystemTime::UNIX_EPOCH;
    for time in [epoch - IDLE, epoch, epoch + Duration::from_secs(u32::MAX.into()) * 4096] {
        let cookie = Cookie::builder("shop", Keys::new(secret(1)))
            .clock(move || time)
            .idle(Duration::MAX)
            .lifetime(Duration::MAX)
            .build()
            .unwrap();
        let pair = fresh(&cookie, "a");
        assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("a"), "{time:?}");
    }
}

proptest! {
    /// As a client lives it: its idle time is from its last request, whether that was answered with a new token or not.
    #[test]
    fn no_session_is_over_before_its_time(gaps in proptest::collection::vec(0..=2_200_000u64, 1..200)) {
        let wall = Wall::new();
        let cookie = cookie(&wall);
        let mut pair = fresh(&cookie, "a");
        let mut age = 0;
        for gap in gaps {
            wall.pass(Duration::from_millis(gap));
            age += gap;
            let found = home(&cookie, &[pair.as_bytes()]);
            if age > LIFETIME.as_millis() as u64 || gap > (IDLE + IDLE / 10).as_millis() as u64 {
                prop_assert_eq!(found, None);
                break;
            }
            if gap <= IDLE.as_millis() as u64 {
                prop_assert_eq!(found.as_deref(), Some("a"));
            }
            if found.is_none() {
                break;
            }
            if let Some(new) = told(&cookie, &[pair.as_bytes()], Served::new("a")) {
                pair = new;
            }
        }
    }
}
