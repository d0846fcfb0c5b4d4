//! Many sessions put elsewhere, while others are served.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ::redis::Cmd;
use equipoise::{Home, learned::SessionStore};

use super::server::{Server, home, session, shared};

const SESSIONS: u128 = 10_000;
/// Of the others, who are at home elsewhere.
const OTHERS: u128 = 1_000_000;

fn one_of_two(session: equipoise::learned::SessionId) -> Home {
    home(if session.to_bytes()[15] % 2 == 0 { "even" } else { "odd" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn ten_thousand_are_moved_while_others_are_claimed() {
    let server = Server::start();
    let (store, wire) = (server.store(), server.connect().await);
    for from in (0..SESSIONS).step_by(500) {
        let mut command = Cmd::new();
        command.arg("MSET");
        for number in from..from + 500 {
            command.arg(super::server::key(session(number))).arg("1:0:old");
            command
                .arg(super::server::key(session(OTHERS + number)))
                .arg("1:0:stays");
            command.arg(format!("of-another:{number}")).arg("1:0:old");
        }
        wire.send::<()>(&command).await;
    }

    // Others come and are claimed meanwhile; and one of those that are moved goes elsewhere by itself.
    let is_over = Arc::new(AtomicBool::new(false));
    let claims = {
        let (store, is_over) = (shared(&store), Arc::clone(&is_over));
        tokio::spawn(async move {
            let (mut slowest, mut count) = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let new = session(2 * OTHERS + count);
                assert_eq!(store.claim(new, None, home("new")).await.unwrap(), home("new"));
                slowest = slowest.max(begun.elapsed());
                count += 1;
            }
            (slowest, count)
        })
    };
    let escaped = store.claim(session(4), Some(home("old")), home("away")).await.unwrap();
    assert_eq!(escaped, home("away"));

    let asked = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let moved = store.migrate(home("old"), {
        let asked = Arc::clone(&asked);
        Arc::new(move |session| {
            asked.fetch_add(1, Ordering::Relaxed);
            one_of_two(session)
        })
    });
    let moved = moved.await.unwrap();
    let lasted = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (slowest, count) = claims.await.unwrap();
    println!(
        "{moved} of {} moved in {lasted:?}; meanwhile {count} claims, the slowest {slowest:?}",
        3 * SESSIONS
    );
    assert_eq!(u128::from(moved), SESSIONS - 1);
    assert!(
        u128::from(asked.load(Ordering::Relaxed)) < SESSIONS + 10,
        "only who is there is asked for"
    );
    assert!(count > 100, "{count} claims meanwhile");

    for number in 0..SESSIONS {
        let at = store.get(session(number)).await.unwrap().unwrap();
        let expected = if number == 4 {
            home("away")
        } else {
            one_of_two(session(number))
        };
        assert_eq!(at, expected, "{number}");
    }
    for number in [0, 1, 5_000, SESSIONS - 1] {
        assert_eq!(store.get(session(OTHERS + number)).await.unwrap(), Some(home("stays")));
        let foreign: String = wire.ask(&format!("GET of-another:{number}")).await;
        assert_eq!(foreign, "1:0:old");
    }
    let again = store.migrate(home("old"), Arc::new(one_of_two));
    assert_eq!(again.await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn who_moves_between_the_look_and_the_move_is_left_alone() {
    let server = Server::start();
    let store = server.store();
    for number in 0..100 {
        store.put(session(number), home("old")).await.unwrap();
    }
    // While it is chosen for each, it goes elsewhere: on the same thread, and so before the script is sent.
    let client = ::redis::Client::open(server.url()).unwrap();
    let moved = store.migrate(
        home("old"),
        Arc::new(move |session| {
            let mut connection = client.get_connection().unwrap();
            let mut command = Cmd::new();
            command.arg("SET").arg(super::server::key(session)).arg("1:0:elsewhere");
            command.exec(&mut connection).unwrap();
            home("chosen")
        }),
    );
    assert_eq!(moved.await.unwrap(), 0);
    for number in 0..100 {
        assert_eq!(store.get(session(number)).await.unwrap(), Some(home("elsewhere")));
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn who_is_chosen_to_stay_stays_and_is_not_counted() {
    let server = Server::start();
    let store = server.store();
    for number in 0..100 {
        store.put(session(number), home("old")).await.unwrap();
    }
    let some = |id: equipoise::learned::SessionId| home(if id.to_bytes()[15] < 10 { "new" } else { "old" });
    assert_eq!(store.migrate(home("old"), Arc::new(some)).await.unwrap(), 10);
    // Too long a home is an error, and nobody goes there.
    let long = store.migrate(home("old"), Arc::new(|_| home(&"x".repeat(5000)))).await;
    assert_eq!(super::server::kind(long), equipoise::redis::StoreErrorKind::TooLong);
    assert_eq!(store.get(session(99)).await.unwrap(), Some(home("old")));
    // None is there: nobody is asked for.
    let none = store.migrate(home("nobody's"), Arc::new(|_| unreachable!()));
    assert_eq!(none.await.unwrap(), 0);
}
