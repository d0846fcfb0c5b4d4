//! One connection, on which the commands of many are pipelined.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::{runtime::Handle, time};

/// A connection. It is closed when nobody has it any more.
#[derive(Clone)]
pub(super) struct Line(Arc<Inner>);

struct Inner {
    connection: MultiplexedConnection,
    /// Where it is driven: whoever waits for an answer may be elsewhere, or in no runtime.
    runtime: Handle,
    /// How long an answer may take.
    patience: Duration,
    /// Told when it turns out that there is nobody at the other end.
    on_fault: OnFault,
    /// Has answered a command well.
    is_proven: AtomicBool,
    /// Somebody is finding out whether it answers at all.
    is_doubted: AtomicBool,
}

/// What is done about a line that is of no use any more.
pub(super) type OnFault = Box<dyn Fn(&Line, Fault) + Send + Sync>;

/// Why there is no answer on a line.
pub(super) enum Fault {
    /// Redis has answered, with an error.
    Refused(RedisError),
    /// The connection is gone.
    Lost(RedisError),
    /// There was no answer in time.
    Silent,
}

impl Line {
    pub(super) fn new(
        connection: MultiplexedConnection,
        runtime: Handle,
        patience: Duration,
        on_fault: OnFault,
    ) -> Self {
        Self(Arc::new(Inner {
            connection,
            runtime,
            patience,
            on_fault,
            is_proven: AtomicBool::new(false),
            is_doubted: AtomicBool::new(false),
        }))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn is_proven(&self) -> bool {
        self.0.is_proven.load(Ordering::Relaxed)
    }

    /// Sends a command, beside those of others, and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let waiting = Waiting(self);
        let answer = self.answer(command).await;
        std::mem::forget(waiting);
        answer
    }

    async fn answer(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut connection = self.0.connection.clone();
        let answer = async { command.query_async::<Value>(&mut connection).await };
        let answer = {
            let _here = self.0.runtime.enter();
            time::timeout(self.0.patience, answer)
        };
        match answer.await {
            Ok(Ok(value)) => {
                // Looked at first: a store by each command would have all threads wait for one another.
                if !self.is_proven() {
                    self.0.is_proven.store(true, Ordering::Relaxed);
                }
                Ok(value)
            }
            Ok(Err(error)) if error.is_io_error() || error.is_unrecoverable_error() => Err(Fault::Lost(error)),
            Ok(Err(error)) => Err(Fault::Refused(error)),
            Err(_) => Err(Fault::Silent),
        }
    }

    /// Finds out whether there is anybody at the other end, when an answer was not waited for to its end: if all who ask have
    /// deadlines that are short, none of them would ever know.
    fn doubt(&self) {
        if self.0.is_doubted.swap(true, Ordering::Relaxed) {
            return;
        }
        let line = self.clone();
        self.0.runtime.spawn(async move {
            let answer = line.answer(&redis::cmd("PING")).await;
            line.0.is_doubted.store(false, Ordering::Relaxed);
            if let Err(fault @ (Fault::Silent | Fault::Lost(_))) = answer {
                (line.0.on_fault)(&line, fault);
            }
        });
    }
}

/// Somebody who waits for an answer. Dropped, there was none.
struct Waiting<'a>(&'a Line);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.doubt();
    }
}
