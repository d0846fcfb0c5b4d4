//! Members by hand.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::error::Error;

/// Changes a pool's members by hand. Cheap to clone; keeps no pool alive.
///
/// A change is on its way as soon as the method returns; await what it returns to know that it is in force. All
/// changes that are on their way when the driver next runs are published at once.
pub struct Handle<B>(Arc<Mailbox<B>>);

impl<B> Handle<B> {
    pub(crate) fn new(mailbox: Arc<Mailbox<B>>) -> Self {
        Self(mailbox)
    }

    /// Makes the backend a member, or replaces the member of the same id, whose live state and drain stay. True if
    /// the id is new.
    pub fn insert(&self, backend: B) -> Applied {
        self.0.post(Command::Insert(backend))
    }

    /// Replaces the backend of the same id, whose live state and drain stay. False, and nothing is done, if the id is
    /// no member.
    pub fn update(&self, backend: B) -> Applied {
        self.0.post(Command::Update(backend))
    }

    /// Ends a membership: nothing new is sent to the backend, what is open goes on. False if the id was no member.
    pub fn remove(&self, id: impl Into<Arc<str>>) -> Applied {
        self.0.post(Command::Remove(id.into()))
    }

    /// Nothing new is sent to the member, what is open goes on, and the member stays;
    /// [`Event::Drained`](crate::Event::Drained) tells when nothing is open. False if the id is no member.
    pub fn drain(&self, id: impl Into<Arc<str>>) -> Applied {
        self.0.post(Command::Drain(id.into(), None))
    }

    /// The same, but sessions that are [at home](crate::Ask::with_home) there have so long to end: then they move. With
    /// [`drain`](Handle::drain) they stay until the member leaves, and may come again when nothing is in flight. Of a member that
    /// drains already this changes the time that is left, from now on; [`Event::Drained`](crate::Event::Drained), and who waits for
    /// it to be [`drained`](Handle::drained), come after that time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn restart(handle: equipoise::Handle<equipoise::Endpoint<()>>) -> Result<(), equipoise::Error> {
    /// // New sessions go elsewhere; those that are here have half an hour.
    /// handle.drain_within("a", Duration::from_secs(1800)).await?;
    /// handle.drained("a", Duration::from_secs(2000)).await?;
    /// # Ok(()) }
    /// ```
    pub fn drain_within(&self, id: impl Into<Arc<str>>, sessions: Duration) -> Applied {
        self.0.post(Command::Drain(id.into(), Some(sessions)))
    }

    /// Ends a [`drain`](Handle::drain). False if the id is no draining member.
    pub fn undrain(&self, id: impl Into<Arc<str>>) -> Applied {
        self.0.post(Command::Undrain(id.into()))
    }

    /// Waits until nothing is in flight any more at a member that drains, or was removed: at those of this id that are no
    /// members any more, and at the one that is, if it drains. One that is and does not drain, replaced or not, is not
    /// waited for. What is open longer than `within` is told; whoever waits may cut it then, or wait again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn restart(handle: equipoise::Handle<equipoise::Endpoint<()>>) -> Result<(), equipoise::Error> {
    /// handle.drain("a").await?;
    /// if handle.drained("a", Duration::from_secs(30)).await? > 0 {
    ///     eprintln!("requests are cut");
    /// }
    /// // Restart it here.
    /// handle.undrain("a").await?;
    /// # Ok(()) }
    /// ```
    pub fn drained(&self, id: impl Into<Arc<str>>, within: Duration) -> Drained {
        let (left, rest) = oneshot::channel();
        drop(self.0.post(Command::Rest(id.into(), within, left)));
        Drained(rest)
    }

    pub(crate) fn close(&self) -> Applied {
        self.0.post(Command::Close)
    }
}

impl<B> Clone for Handle<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for Handle<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// The outcome of a change: ready once it is in force, with whether there was anything to do. It fails, as
/// unavailable, if the driver has ended, or could not publish: then the change is still there, and published with the
/// next attempt. Dropping it takes nothing back.
pub struct Applied(oneshot::Receiver<bool>);

impl Applied {
    /// There is nothing left to do.
    pub(crate) fn done() -> Self {
        let (applied, done) = oneshot::channel();
        // The receiver is right here.
        let _ = applied.send(true);
        Self(done)
    }
}

impl Future for Applied {
    type Output = Result<bool, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map_err(|_| Error::unavailable("the pool's driver has ended, or could not publish the change"))
    }
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applied")
    }
}

/// How many requests are in flight still: see [`Handle::drained`]. It fails, as unavailable, if the driver has ended.
pub struct Drained(oneshot::Receiver<usize>);

impl Future for Drained {
    type Output = Result<usize, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map_err(|_| Error::unavailable("the pool's driver has ended"))
    }
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drained")
    }
}

/// What a handle wants done.
pub(crate) enum Command<B> {
    Insert(B),
    Update(B),
    Remove(Arc<str>),
    /// For how long sessions at home there may stay; none: for as long as it is a member.
    Drain(Arc<str>, Option<Duration>),
    Undrain(Arc<str>),
    /// To tell when the members of this id have come to rest, or how much is open after a time.
    Rest(Arc<str>, Duration, oneshot::Sender<usize>),
    Close,
}

/// A command, and where to tell that it is in force.
pub(crate) struct Order<B> {
    pub(crate) command: Command<B>,
    pub(crate) applied: oneshot::Sender<bool>,
}

/// Between the handles and the driver.
pub(crate) struct Mailbox<B> {
    /// None once the driver has ended.
    orders: Mutex<Option<Vec<Order<B>>>>,
    driver: AtomicWaker,
}

impl<B> Mailbox<B> {
    pub(crate) fn new() -> Self {
        Self {
            orders: Mutex::new(Some(Vec::new())),
            driver: AtomicWaker::new(),
        }
    }

    fn post(&self, command: Command<B>) -> Applied {
        let (applied, done) = oneshot::channel();
        // Without a driver the sender is dropped here, which is the answer.
        if let Some(orders) = self.orders.lock().as_mut() {
            orders.push(Order { command, applied });
        }
        self.wake();
        Applied(done)
    }

    /// What has been posted, in order; from now on a post wakes `driver`.
    pub(crate) fn take(&self, driver: &Waker) -> Vec<Order<B>> {
        self.driver.register(driver);
        self.orders.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn wake(&self) {
        self.driver.wake();
    }

    /// Whether the driver has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.orders.lock().is_none()
    }

    /// The driver has ended: what was and will be posted fails.
    pub(crate) fn close(&self) {
        let orders = self.orders.lock().take();
        // Backends may be among them: user code runs outside the lock.
        drop(orders);
    }
}
