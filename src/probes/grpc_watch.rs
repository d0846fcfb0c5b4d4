//! What gRPC servers say of themselves, as they say it.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{
    address::{Address, ProbeTarget},
    error::{ProbeError, SettingError},
    exchange::Exchange,
    grpc::Grpc,
    grpc_message::{ServingStatus, Statuses},
};
use crate::{Backend, HealthProbe, health::Report};

/// Keeps a stream to each backend on which it tells its status, and each change of that, at once
/// (`grpc.health.v1.Health/Watch`).
///
/// A probe opens the stream where there is none, or it has broken off, and waits for the first status; as long as the
/// stream is there probes answer from the newest status on it, without asking anybody. So an interval of a second costs
/// little, and a server that says that it stops serving is known to within that.
///
/// A process that hangs says nothing, and neither does a machine that is gone: so a stream is opened anew once it is
/// [as old as this](GrpcWatch::renew_after), and who does not answer then fails. (Pings would tell sooner, but gRPC
/// servers close connections that send them more often than every five minutes: grpc/proposal, A8.)
///
/// Nobody tells a probe that a backend has left: a stream ends when its backend [was not probed for some
/// time](GrpcWatch::forget_after), and all do when the probe is dropped. Backends are known apart by their ids.
#[derive(Debug)]
pub struct GrpcWatch {
    grpc: Grpc,
    renew: Duration,
    forget: Duration,
    streams: Arc<Mutex<Streams>>,
}

/// By the backends' ids.
type Streams = HashMap<String, Stream>;

/// A stream, and the task that reads it, which ends with this.
#[derive(Debug)]
struct Stream {
    address: Address,
    opened: Instant,
    told: Arc<Mutex<Told>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Told {
    status: ServingStatus,
    /// When the last probe was.
    asked: Instant,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Grpc {
    /// Asks once, with `Health/Watch`, and then listens.
    pub fn watch(self) -> GrpcWatch {
        GrpcWatch::new(self)
    }
}

impl GrpcWatch {
    pub(super) fn new(grpc: Grpc) -> Self {
        Self {
            grpc,
            renew: Duration::from_secs(30),
            forget: Duration::from_secs(60),
            streams: Arc::default(),
        }
    }

    /// Opens a stream anew once it is this old, 30 s unless said otherwise: so long may it take until a backend that hangs
    /// is seen to.
    ///
    /// # Errors
    /// It is 0.
    pub fn renew_after(mut self, age: Duration) -> Result<Self, SettingError> {
        self.renew = positive("age", age)?;
        Ok(self)
    }

    /// Ends a stream once its backend was not probed for so long, 60 s unless said otherwise: it should be more than the
    /// interval of probes, or each opens a stream anew.
    ///
    /// # Errors
    /// It is 0.
    pub fn forget_after(mut self, time: Duration) -> Result<Self, SettingError> {
        self.forget = positive("time", time)?;
        Ok(self)
    }

    async fn ask(&self, id: &str, target: &(impl ProbeTarget + ?Sized)) -> Result<Report, ProbeError> {
        let address = self.grpc.place(target)?;
        if let Some(status) = self.newest(id, &address) {
            return status.report();
        }
        // Whatever comes of it, what was known is old. It goes after the lock does.
        let old = self.streams.lock().remove(id);
        drop(old);
        let opened = Instant::now();
        let (mut exchange, mut statuses) = self.grpc.call(&address, "Watch").await?;
        let status = exchange.read(statuses.next()).await?;
        let status = status.ok_or_else(|| ProbeError::unexpected("a status", "the end of the watch"))?;
        let asked = Instant::now();
        let told = Arc::new(Mutex::new(Told { status, asked }));
        let reader = Reader {
            id: id.to_owned(),
            told: Arc::clone(&told),
            forget: self.forget,
            streams: Arc::downgrade(&self.streams),
        };
        let replaced = {
            // Locked until it is in there: the task takes it out when it ends.
            let mut streams = self.streams.lock();
            let task = tokio::spawn(reader.read(exchange, statuses)).abort_handle();
            let stream = Stream {
                address,
                opened,
                told,
                task,
            };
            streams.insert(id.to_owned(), stream)
        };
        drop(replaced);
        status.report()
    }

    /// What a stream to that address has told last, if there is one that is young enough.
    fn newest(&self, id: &str, address: &Address) -> Option<ServingStatus> {
        let streams = self.streams.lock();
        let stream = streams.get(id)?;
        let now = Instant::now();
        if stream.address != *address || now.saturating_duration_since(stream.opened) >= self.renew {
            return None;
        }
        let mut told = stream.told.lock();
        told.asked = now;
        Some(told.status)
    }
}

fn positive(setting: &'static str, value: Duration) -> Result<Duration, SettingError> {
    if value.is_zero() {
        return Err(SettingError::new(setting, b"0s", "more than nothing"));
    }
    Ok(value)
}

/// Reads a stream to its end.
struct Reader {
    id: String,
    told: Arc<Mutex<Told>>,
    forget: Duration,
    streams: Weak<Mutex<Streams>>,
}

impl Reader {
    async fn read(self, mut exchange: Exchange, mut statuses: Statuses) {
        loop {
            let asked = self.told.lock().asked;
            // Further than clocks can tell is never.
            let late = asked.checked_add(self.forget);
            let late = late.unwrap_or_else(|| asked + Duration::from_secs(1 << 30));
            match timeout_at(late, exchange.read(statuses.next())).await {
                Ok(Ok(Some(status))) => self.told.lock().status = status,
                Ok(_end) => break,
                Err(_elapsed) if self.told.lock().asked > asked => {}
                Err(_elapsed) => break,
            }
        }
        if let Some(streams) = self.streams.upgrade() {
            let mut streams = streams.lock();
            // There may be another one for that id by now.
            if streams
                .get(&self.id)
                .is_some_and(|stream| Arc::ptr_eq(&stream.told, &self.told))
            {
                streams.remove(&self.id);
            }
        }
    }
}

impl<B: Backend + ProbeTarget> HealthProbe<B> for GrpcWatch {
    type Error = ProbeError;

    async fn probe(&self, backend: &B) -> Result<Report, ProbeError> {
        self.ask(backend.id(), backend).await
    }
}
