//! Two balancers, each a process of its own, with one Redis.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, Command},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use equipoise::{
    Assigned, Backend, BalanceLayer, BoxError, Endpoint, Error, Pool, StickyLayer,
    learned::{Learned, Sessions},
    redis::RedisStore,
};
use tower::{Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use super::server::Server;
use crate::program::{Program, until};

const ADDRESS: &str = "EQUIPOISE_TEST_REDIS_OF_A_BALANCER";
const BACKENDS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The whole request is its session's name, and the answer the backend's.
fn sticky(sessions: Sessions) -> BoxCloneSyncService<String, String, Error> {
    let learned = Learned::by(sessions, |request: &String| Some(request.as_str().into()));
    let pool = Pool::builder()
        .backends(BACKENDS.map(|id| Endpoint::new(id, ())))
        .spawn();
    let inner =
        tower::service_fn(async |call: Assigned<String, Endpoint<()>>| Ok::<_, BoxError>(call.backend.id().to_owned()));
    let service = ServiceBuilder::new()
        .layer(StickyLayer::new(learned).deadline(Duration::from_millis(500)))
        .layer(BalanceLayer::new(pool))
        .service(inner);
    BoxCloneSyncService::new(service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests below"]
async fn a_balancer_in_a_process_of_its_own() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let store = RedisStore::new(&address).unwrap();
    store.ping().await.unwrap();
    // A machine that is busy with tests takes longer than 5 ms now and then.
    let sessions = Sessions::builder()
        .key([7; 16])
        .store(store)
        .store_deadline(Duration::from_millis(250))
        .build();
    let sticky = sticky(sessions.clone());
    let (lines, mut requests) = tokio::sync::mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines() {
            lines.send(line.unwrap()).unwrap();
        }
    });
    while let Some(request) = requests.recv().await {
        let mut sticky = sticky.clone();
        let sessions = sessions.clone();
        tokio::spawn(async move {
            let answer = match request.as_str() {
                "stats" => format!("{:?}", sessions.stats()),
                _ => match sticky.ready().await.unwrap().call(request.clone()).await {
                    Ok(backend) => backend,
                    Err(error) => format!("error: {error}"),
                },
            };
            writeln!(std::io::stdout().lock(), "> {request} {answer}").unwrap();
        });
    }
}

/// Such a process.
struct Balancer {
    _program: Program,
    requests: ChildStdin,
    answers: mpsc::Receiver<(String, String)>,
}

impl Balancer {
    fn start(address: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "redis_store::balancers::a_balancer_in_a_process_of_its_own";
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        let (program, requests, stdout) = Program::start_piped(command.env(ADDRESS, address));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // What the test's harness says is in other lines, or before it.
                let Some((_, answer)) = line.split_once("> ") else {
                    continue;
                };
                let (request, answer) = answer.split_once(' ').unwrap();
                let _ = sender.send((request.to_owned(), answer.to_owned()));
            }
        });
        Self {
            _program: program,
            requests,
            answers,
        }
    }

    fn send(&mut self, request: &str) {
        writeln!(self.requests, "{request}").unwrap();
    }

    fn receive(&self) -> (String, String) {
        self.answers.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    fn ask(&mut self, request: &str) -> String {
        self.send(request);
        let (asked, answer) = self.receive();
        assert_eq!(asked, request);
        answer
    }

    /// The answers to all of these, sent at once.
    fn ask_all(&mut self, requests: &[String]) -> BTreeMap<String, String> {
        requests.iter().for_each(|request| self.send(request));
        requests.iter().map(|_| self.receive()).collect()
    }
}

fn names(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{what}-{number}")).collect()
}

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn two_processes_agree_from_a_session_s_second_request_on() {
    let server = Server::start();
    let [mut one, mut two] = [(); 2].map(|()| Balancer::start(&server.url()));
    // One after the other: where the first said.
    for name in names("in-turn", 300) {
        let home = one.ask(&name);
        assert!(BACKENDS.contains(&home.as_str()), "{home}");
        assert_eq!((two.ask(&name), one.ask(&name)), (home.clone(), home), "{name}");
    }
    // The first requests of one session at once at both: they may be served apart, and are together from then on.
    let (mut apart, mut differing) = (0, 0);
    for name in names("racing", 300) {
        one.send(&name);
        two.send(&name);
        let firsts = (one.receive().1, two.receive().1);
        apart += u32::from(firsts.0 != firsts.1);
        let seconds = (two.ask(&name), one.ask(&name));
        differing += u32::from(seconds.0 != seconds.1);
    }
    println!("of 300 races {apart} first requests were served apart, {differing} second ones");
    println!("{}\n{}", one.ask("stats"), two.ask("stats"));
    assert!(apart > 10, "{apart}: else it would be no race");
    assert_eq!(differing, 0);
}

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn redis_killed_and_restarted_fails_no_request_and_moves_no_session() {
    let mut server = Server::start();
    let [mut one, mut two] = [(); 2].map(|()| Balancer::start(&server.url()));
    let known = names("known", 100);
    let homes = one.ask_all(&known);
    assert_eq!(two.ask_all(&known), homes);
    let (mut sent, mut failed, mut moved, mut slowest) = (0, 0, 0, Duration::ZERO);
    // Both serve all the time what they know, and new sessions.
    let mut serve = |one: &mut Balancer, two: &mut Balancer, what: &str, lasting: Duration| {
        let (begun, mut round) = (Instant::now(), 0);
        while begun.elapsed() < lasting {
            for balancer in [&mut *one, &mut *two] {
                let at = Instant::now();
                for (name, at) in balancer.ask_all(&known) {
                    sent += 1;
                    failed += u32::from(at.starts_with("error"));
                    moved += u32::from(homes[&name] != at);
                }
                slowest = slowest.max(at.elapsed());
                let new = balancer.ask(&format!("{what}-{round}"));
                sent += 1;
                failed += u32::from(new.starts_with("error"));
                round += 1;
            }
        }
    };
    serve(&mut one, &mut two, "before", Duration::from_millis(500));
    for round in 0..3 {
        // In the middle of what both were sent.
        for balancer in [&mut one, &mut two] {
            known.iter().for_each(|name| balancer.send(name));
        }
        server.kill();
        for balancer in [&mut one, &mut two] {
            for _ in &known {
                let (name, at) = balancer.receive();
                assert_eq!(at, homes[&name], "{name}");
            }
        }
        serve(&mut one, &mut two, &format!("down{round}"), Duration::from_millis(700));
        server.restart();
        serve(&mut one, &mut two, &format!("up{round}"), Duration::from_millis(700));
        let begun = Instant::now();
        until("both have the store again", || {
            for balancer in [&mut one, &mut two] {
                balancer.ask("known-0");
            }
            let stats = [&mut one, &mut two].map(|balancer| balancer.ask("stats"));
            stats
                .iter()
                .all(|stats| stats.contains("store_is_away: false"))
                .then_some(())
        });
        println!("round {round}: both have it {:?} after that", begun.elapsed());
        // What Redis has lost is there again, and whoever is new is shared.
        serve(&mut one, &mut two, &format!("again{round}"), Duration::from_millis(300));
        for name in names(&format!("new{round}"), 100) {
            assert_eq!(one.ask(&name), two.ask(&name), "{name}");
        }
    }
    println!("{sent} requests, {failed} failed, {moved} moved; 100 at once took {slowest:?} at most");
    println!("{}\n{}", one.ask("stats"), two.ask("stats"));
    assert_eq!((failed, moved), (0, 0));
}
