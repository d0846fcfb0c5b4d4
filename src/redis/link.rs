//! The way to a Redis: a connection while there is one, and who makes the next.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use rand::{RngExt, rngs::SmallRng};
use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, RedisError, ServerErrorKind, Value, io::tcp::TcpSettings,
};
use tokio::{runtime::Handle, sync::watch, time};

use super::{
    error::{StoreError, StoreErrorKind},
    line::{Fault, Line},
    script::Call,
};

/// How many commands wait to be written before those who come next wait for their turn.
const QUEUE: usize = 1024;
/// The pause after the first failure; each is twice as long as the last.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause, but for jitter.
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
}

/// One Redis, and one connection to it at a time.
pub(super) struct Link {
    client: Client,
    place: Arc<str>,
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    line: Option<Line>,
    /// While somebody connects; closed when it is over, however it ends.
    attempt: Option<watch::Receiver<()>>,
    /// The last failure, while there is no connection because of it.
    failure: Option<StoreError>,
    /// How many there were since a connection has proven itself.
    failures: u32,
}

/// What is to be done for a connection.
enum Way {
    There(Line),
    Wait(watch::Receiver<()>),
}

impl Link {
    pub(super) fn new(client: Client, patience: Patience) -> Arc<Self> {
        let place = client.get_connection_info().addr().to_string().into();
        Arc::new(Self {
            client,
            place,
            patience,
            state: Mutex::default(),
        })
    }

    /// The Redis that an address names. Nothing is connected yet.
    pub(super) fn client(address: &str) -> Result<Client, StoreError> {
        let client = || {
            let info = address.into_connection_info()?;
            let redis = info.redis_settings().clone();
            let redis = redis.set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
            // A command waits for no other's answer before it is written.
            let tcp = TcpSettings::default().set_nodelay(true);
            Client::open(info.set_redis_settings(redis).set_tcp_settings(tcp))
        };
        client().map_err(|error: RedisError| {
            // What it says is fixed; the address, which may hold a password, is not told.
            StoreError::new(StoreErrorKind::Address, &"?".into(), error.to_string())
        })
    }

    pub(super) fn place(&self) -> &Arc<str> {
        &self.place
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// The same Redis, by a connection of its own.
    pub(super) fn anew(&self, patience: Patience) -> Arc<Self> {
        Self::new(self.client.clone(), patience)
    }

    /// Has a script run.
    pub(super) async fn run(self: &Arc<Self>, call: &Call) -> Result<Value, StoreError> {
        match self.try_ask(&call.by_name()).await? {
            Ok(value) => Ok(value),
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => self.ask(&call.in_full()).await,
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Has a command carried out.
    pub(super) async fn ask(self: &Arc<Self>, command: &Cmd) -> Result<Value, StoreError> {
        self.try_ask(command).await?.map_err(|error| self.refused(error))
    }

    /// The answer, which may be an error of Redis.
    async fn try_ask(self: &Arc<Self>, command: &Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        let mut is_again = false;
        loop {
            let line = self.line().await?;
            match line.ask(command).await {
                Ok(value) => return Ok(Ok(value)),
                Err(Fault::Refused(error)) => {
                    // It was made a replica: the primary is elsewhere, maybe under the same name.
                    if error.kind() == ServerErrorKind::ReadOnly.into() {
                        self.lose(&line, Fault::Refused(error.clone()));
                    }
                    return Ok(Err(error));
                }
                Err(fault) => {
                    let is_lost = matches!(fault, Fault::Lost(_));
                    let error = self.lose(&line, fault);
                    // A connection that was idle may have been closed long ago, and a server that restarts is soon back.
                    // Commands may be carried out twice.
                    if !is_lost || is_again {
                        return Err(error);
                    }
                    is_again = true;
                }
            }
        }
    }

    fn refused(&self, error: RedisError) -> StoreError {
        self.error(StoreErrorKind::Refused, "the command", error)
    }

    fn error(&self, kind: StoreErrorKind, doing: &str, error: RedisError) -> StoreError {
        let password = self.client.get_connection_info().redis_settings().password();
        StoreError::of(kind, &self.place, doing, error, password)
    }

    /// The connection: at once if there is one, or none can be had; otherwise when the attempt to make one is over.
    async fn line(self: &Arc<Self>) -> Result<Line, StoreError> {
        // A second time in case that the runtime of who made it was shut down meanwhile.
        for _ in 0..2 {
            let mut attempt = match self.way()? {
                Way::There(line) => return Ok(line),
                Way::Wait(attempt) => attempt,
            };
            // An error says that it is over.
            let _ = attempt.changed().await;
            let state = self.state.lock();
            match (&state.line, &state.failure) {
                (Some(line), _) => return Ok(line.clone()),
                (None, Some(failure)) => return Err(failure.clone()),
                (None, None) => {}
            }
        }
        Err(self.no_runtime())
    }

    fn no_runtime(&self) -> StoreError {
        StoreError::new(
            StoreErrorKind::Runtime,
            &self.place,
            "there is no tokio runtime to connect in",
        )
    }

    fn way(self: &Arc<Self>) -> Result<Way, StoreError> {
        let mut state = self.state.lock();
        if let Some(line) = &state.line {
            return Ok(Way::There(line.clone()));
        }
        let attempt = match state.attempt.take().filter(|attempt| attempt.has_changed().is_ok()) {
            Some(attempt) => attempt,
            None => {
                let runtime = Handle::try_current().map_err(|_| self.no_runtime())?;
                self.connect(&runtime, state.failures)
            }
        };
        state.attempt = Some(attempt.clone());
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(Way::Wait(attempt)),
        }
    }

    /// Has it connected in the background, so that whoever waits may go.
    fn connect(self: &Arc<Self>, runtime: &Handle, failures: u32) -> watch::Receiver<()> {
        let (over, attempt) = watch::channel(());
        let (link, inside) = (Arc::downgrade(self), runtime.clone());
        runtime.spawn(async move {
            let connecting = AssertUnwindSafe(connect_at_last(&link, inside, failures, &over));
            let Err(panic) = connecting.catch_unwind().await else {
                return;
            };
            if let Some(link) = link.upgrade() {
                // tokio without a clock, or rustls that can't tell which cryptography to use.
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                let text = format!("connecting has panicked: {}", text.unwrap_or("without a message"));
                let mut state = link.state.lock();
                state.failures = state.failures.saturating_add(1);
                state.failure = Some(StoreError::new(StoreErrorKind::Unreachable, &link.place, text));
            }
        });
        attempt
    }

    /// One attempt to connect; whether it has succeeded.
    async fn try_connect(self: &Arc<Self>, runtime: &Handle) -> bool {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut state = self.state.lock();
        match connected {
            Ok(connection) => {
                let link = Arc::downgrade(self);
                let on_fault = move |line: &Line, fault| {
                    if let Some(link) = link.upgrade() {
                        link.lose(line, fault);
                    }
                };
                let line = Line::new(connection, runtime.clone(), self.patience.answer, Box::new(on_fault));
                (state.line, state.attempt, state.failure) = (Some(line), None, None);
                true
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.failure = Some(self.error(StoreErrorKind::Unreachable, "connecting", error));
                false
            }
        }
    }

    /// Gives a connection up, if it is still the one, so that another is made; the error that says why.
    fn lose(self: &Arc<Self>, line: &Line, fault: Fault) -> StoreError {
        let is_lost = matches!(fault, Fault::Lost(_));
        let error = match fault {
            Fault::Refused(error) => self.refused(error),
            Fault::Lost(error) => self.error(StoreErrorKind::Lost, "waiting for an answer", error),
            Fault::Silent => {
                let text = format!("no answer within {:?}", self.patience.answer);
                StoreError::new(StoreErrorKind::Silent, &self.place, text)
            }
        };
        let mut state = self.state.lock();
        if !state.line.as_ref().is_some_and(|current| current.is(line)) {
            return error;
        }
        state.line = None;
        if line.is_proven() {
            (state.failures, state.failure) = (0, None);
        }
        // Whoever was connected, and answered, may be back at once. Others are left alone for a while.
        if !(is_lost && line.is_proven()) {
            state.failures = state.failures.saturating_add(1);
            state.failure = Some(error.clone());
        }
        drop(state);
        // Not by the next request only; outside of a runtime by that.
        let _ = self.way();
        error
    }
}

/// Connects, again and again until it succeeds or nobody has the link any more.
async fn connect_at_last(link: &Weak<Link>, runtime: Handle, mut failures: u32, over: &watch::Sender<()>) {
    loop {
        if failures > 0 {
            time::sleep(pause(failures)).await;
        }
        let Some(link) = link.upgrade() else { return };
        if link.try_connect(&runtime).await {
            return;
        }
        failures = failures.saturating_add(1);
        // Those who wait for this attempt wait no longer.
        over.send_replace(());
    }
}

/// The pause after so many failures, a fifth more or less, so that balancers that have lost a Redis together do not come back
/// together.
fn pause(failures: u32) -> Duration {
    let pause = PAUSE.saturating_mul(1 << (failures.clamp(1, 16) - 1)).min(MOST_PAUSE);
    // It is asked once in a pause.
    let mut random = rand::make_rng::<SmallRng>();
    pause.mul_f64(random.random_range(0.8..1.2))
}
