//! A redis primary and its replicas, under the example `redis_replicas`.

use std::process::Command;

use crate::{
    example::example,
    program::{Folder, Program, installed, printed, until},
};

/// How many keys the example writes, and how often it reads one.
const WRITES: u64 = 100;
const READS: u64 = 2000;

/// A redis server, killed by dropping it.
struct Server {
    _program: Program,
    _folder: Folder,
    port: u16,
}

impl Server {
    fn start(primary: Option<&Self>) -> Self {
        let folder = Folder::new();
        let (program, port) = Program::serve(|port| {
            let mut command = installed("redis-server", "redis-server");
            command.current_dir(folder.path());
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
            // A replica is brought up to date at once, not after 5 s.
            command.args(["--repl-diskless-sync-delay", "0"]);
            if let Some(primary) = primary {
                command.args(["--replicaof", "127.0.0.1", &primary.port.to_string()]);
            }
            command
        });
        Self {
            _program: program,
            _folder: folder,
            port,
        }
    }

    /// A primary, and two replicas that follow it.
    fn start_three() -> [Self; 3] {
        let primary = Self::start(None);
        let replicas = [(); 2].map(|()| Self::start(Some(&primary)));
        for replica in &replicas {
            until("a replica is up to date", || {
                replica
                    .info("replication")
                    .contains("master_link_status:up")
                    .then_some(())
            });
        }
        let [one, two] = replicas;
        [primary, one, two]
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn info(&self, section: &str) -> String {
        let mut command = installed("redis-cli", "redis-server");
        printed(command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "info", section]))
    }

    /// How many of such commands it has carried out, whoever sent them.
    fn calls(&self, command: &str) -> u64 {
        let stats = self.info("commandstats");
        let found = stats.split_once(&format!("cmdstat_{command}:calls="));
        found.map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap())
    }
}

fn redis_replicas(addresses: &[String]) -> Command {
    let mut command = Command::new(example("redis_replicas"));
    command.args(addresses);
    command
}

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn reads_go_to_the_replicas_and_writes_to_the_primary() {
    let [primary, one, two] = Server::start_three();
    let addresses = [&primary, &one, &two].map(Server::address);
    let text = printed(&mut redis_replicas(&addresses));
    assert!(text.contains("copies: 2"), "{text}");

    assert_eq!((primary.calls("setex"), primary.calls("get")), (WRITES, 0));
    let reads = [one.calls("get"), two.calls("get")];
    assert_eq!(reads[0] + reads[1], READS);
    assert!(reads.iter().all(|reads| *reads > READS / 4), "{reads:?}");
    // What it prints is what the servers have counted.
    for (address, reads) in addresses[1..].iter().zip(reads) {
        assert!(
            text.contains(&format!("{address}: {reads} answered, 0 failed")),
            "{text}"
        );
    }
}

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn reads_go_on_when_a_replica_dies() {
    let [primary, one, two] = Server::start_three();
    let addresses = [&primary, &one, &two].map(Server::address);
    let mut reader = Program::start(&mut redis_replicas(&addresses));
    until("both replicas are read", || {
        (one.calls("get") > 0 && two.calls("get") > 0).then_some(())
    });
    drop(one);
    assert!(reader.is_running(), "it was to be killed in the middle");
    let text = reader.printed();
    assert!(text.contains(&format!("{READS} reads, each answered")), "{text}");
    let reads = two.calls("get");
    assert!((READS / 2..READS).contains(&reads), "{reads}: {text}");

    // It is the same if the replica is dead from the start.
    let text = printed(&mut redis_replicas(&addresses));
    assert!(text.contains(&format!("{}: 0 answered", addresses[1])), "{text}");
    assert_eq!(two.calls("get") - reads, READS);
    assert_eq!((primary.calls("setex"), primary.calls("get")), (2 * WRITES, 0));
}
