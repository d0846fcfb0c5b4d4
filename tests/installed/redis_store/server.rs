//! A redis server to keep sessions in.

use std::{net::TcpStream, sync::Arc, time::Duration};

use ::redis::{Client, Cmd, FromRedisValue, aio::MultiplexedConnection};
use equipoise::{
    BoxError, Home,
    learned::{SessionId, SessionStore},
    redis::{RedisStore, StoreError, StoreErrorKind},
};

use crate::program::{Folder, Program, free_port, installed, until};

/// A server on a port that it keeps; killed by dropping it.
pub(crate) struct Server {
    program: Option<Program>,
    folder: Folder,
    pub(crate) port: u16,
    options: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With such options, as they are given on the command line.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        // Once in a while another program takes the port first.
        for _ in 0..3 {
            let mut server = Self::not_started(options);
            if server.try_restart() {
                return server;
            }
        }
        panic!("the server has ended, and said why above");
    }

    pub(crate) fn not_started(options: &[&str]) -> Self {
        Self {
            program: None,
            folder: Folder::new(),
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// Starts it, again, with nothing of what it knew.
    pub(crate) fn restart(&mut self) {
        assert!(self.try_restart(), "the server has ended, and said why above");
    }

    fn try_restart(&mut self) -> bool {
        let mut command = installed("redis-server", "redis-server");
        command.current_dir(self.folder.path());
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(&self.options);
        let mut program = Program::start(&mut command);
        let is_up = until("a server answers, or ends", || {
            let is_up = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            (is_up || !program.is_running()).then_some(is_up)
        });
        if is_up && program.is_running() {
            self.program = Some(program);
            return true;
        }
        let output = program.output();
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        false
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.program = None;
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.program.as_ref().unwrap().signal(signal);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::new(&self.url()).unwrap()
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> Wire {
        let client = Client::open(self.url()).unwrap();
        Wire(client.get_multiplexed_async_connection().await.unwrap())
    }
}

/// A connection to look with at what is in a server, or to put it there.
#[derive(Clone)]
pub(crate) struct Wire(MultiplexedConnection);

impl Wire {
    /// The answer to a command in words.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = Cmd::new();
        command.arg(words.by_ref().collect::<Vec<_>>());
        self.send(&command).await
    }

    pub(crate) async fn send<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.0.clone()).await.unwrap()
    }

    /// How long a session's key has to live, in milliseconds.
    pub(crate) async fn left(&self, session: SessionId) -> i64 {
        self.ask(&format!("PTTL {}", key(session))).await
    }

    /// Puts something under a session's key.
    pub(crate) async fn set(&self, session: SessionId, value: impl AsRef<[u8]>) {
        let mut command = Cmd::new();
        command.arg("SET").arg(key(session)).arg(value.as_ref());
        self.send(&command).await
    }

    /// How often a command was called, scripts' own calls among them.
    pub(crate) async fn calls(&self, command: &str) -> u64 {
        let stats: String = self.ask("INFO commandstats").await;
        let found = stats.split_once(&format!("cmdstat_{command}:calls="));
        found.map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap())
    }
}

pub(crate) fn session(number: u128) -> SessionId {
    SessionId::from_bytes(number.to_be_bytes())
}

/// Under which a session is stored if nothing else was said.
pub(crate) fn key(session: SessionId) -> String {
    format!("equipoise:{:032x}", u128::from_be_bytes(session.to_bytes()))
}

pub(crate) fn home(id: &str) -> Home {
    Home::new(id)
}

/// What a store's error is.
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, BoxError>) -> StoreErrorKind {
    let error = result.unwrap_err();
    error.downcast_ref::<StoreError>().unwrap().kind()
}

/// A get under a deadline, as a balancer has one: none if it was over.
pub(crate) async fn get_within(
    store: &RedisStore,
    session: SessionId,
    deadline: Duration,
) -> Option<Result<Option<Home>, BoxError>> {
    tokio::time::timeout(deadline, store.get(session)).await.ok()
}

/// Waits until a store works again, and says how long that took.
pub(crate) async fn works_again(store: &RedisStore) -> Duration {
    let begun = std::time::Instant::now();
    while store.get(session(0)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not come back");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// A store as whoever keeps one does.
pub(crate) fn shared(store: &RedisStore) -> Arc<dyn SessionStore> {
    Arc::new(store.clone())
}
