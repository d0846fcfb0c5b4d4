//! Who can: the changing set of members of one service, and the way to one of them.

mod acquire;
mod adaptive;
mod admission;
mod builder;
mod checking;
mod decision;
mod detector;
mod driver;
mod fault;
mod homing;
mod layout;
mod lease;
mod plan;
mod probing;
mod registry;
mod snapshot;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

pub use acquire::Acquire;
pub use adaptive::AdaptiveLimit;
pub use admission::Admission;
pub use builder::PoolBuilder;
pub use decision::{Closed, Considered, Decision, Level};
pub use driver::Driver;
pub use lease::Lease;

use self::{
    admission::Choice,
    homing::Absence,
    snapshot::{Core, Phase, Shared, Snapshot},
};
use crate::{
    ask::Ask,
    backend::Backend,
    clock::Stamp,
    discover::{Applied, Handle},
    error::Error,
    event::Events,
    member::Member,
    selector::{At, Generator, LeastLoaded, Obstacle, Pick, Selector, View},
    sync::{Ordering, fence},
};

/// The changing set of members of one service, and the way to one of them.
///
/// Clones share one live state: members, what is in flight, the selector. Each has its own view of the newest snapshot
/// and its own random generator, so that a [`pick`](Pool::pick) takes no lock unless the members changed, and
/// allocates nothing. Give each task its own clone.
///
/// ```
/// use equipoise::{Ask, Endpoint, Outcome, Pool};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), equipoise::Error> {
/// let mut pool = Pool::builder()
///     .backend(Endpoint::new("a", "10.0.0.1:80"))
///     .backend(Endpoint::new("b", "10.0.0.2:80").with_weight(2))
///     .spawn();
///
/// let mut lease = pool.pick(&Ask::new())?;
/// println!("connect to {}", lease.backend().target());
/// lease.settle(Outcome::Success);
/// drop(lease);
///
/// pool.handle().drain("a").await?;
/// assert_eq!(pool.pick(&Ask::new())?.backend_id(), "b");
/// # Ok(()) }
/// ```
pub struct Pool<B: Backend, S: Selector<B> = LeastLoaded> {
    shared: Arc<Shared<B, S>>,
    snapshot: Arc<Snapshot<B, S>>,
    random: Generator,
}

/// Why there is no lease just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Discovery has not spoken yet.
    Silent,
    /// Every open member is at its limit.
    Full,
    /// None is ready, and one will be soon.
    Unready,
    /// Others wait already.
    Queued,
    /// No member can be picked.
    Nobody,
    /// The session's home can't be had, and nobody else will do.
    Homeless,
    /// The pool is closed.
    Closed,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Silent => Error::unavailable("discovery has not reported any member yet"),
            Refusal::Full => Error::overloaded("every member is at its in-flight limit"),
            Refusal::Unready => Error::unavailable("no member has become ready"),
            Refusal::Queued => Error::overloaded("others wait for a member already"),
            Refusal::Nobody => Error::unavailable("no member can be picked"),
            Refusal::Homeless => Error::unavailable("the session's home can't be had, and no other will do"),
            Refusal::Closed => Error::unavailable("the pool is closed"),
        }
    }
}

/// How often a pick starts over because its choice was taken away or filled up meanwhile.
const RACES: usize = 64;

impl<B: Backend> Pool<B> {
    /// A pool to be: of the least loaded of 8, on the system's clock.
    #[cfg(feature = "tokio")]
    pub fn builder() -> PoolBuilder<B> {
        Self::builder_on(crate::clock::Clock::system())
    }

    /// A pool to be, on a clock of your own.
    pub fn builder_on(clock: crate::clock::Clock) -> PoolBuilder<B> {
        PoolBuilder::new(clock)
    }
}

impl<B: Backend, S: Selector<B>> Pool<B, S> {
    fn new(shared: Arc<Shared<B, S>>, snapshot: Arc<Snapshot<B, S>>) -> Self {
        let count = shared.seeds.0.fetch_add(1, Relaxed);
        Self {
            shared,
            snapshot,
            random: Generator::new(count).split(),
        }
    }

    /// Picks a member, now or not at all: unavailable if there is nobody to pick, overloaded if everybody is full or
    /// others wait already.
    ///
    /// A home in the ask comes first, then the selector chooses.
    #[inline]
    pub fn pick(&mut self, ask: &Ask) -> Result<Lease<Arc<B>>, Error> {
        self.try_pick(ask).map_err(Error::from)
    }

    /// Picks a member, or waits for one: as long as [`Admission`] says while everybody is full, and as long as the
    /// builder's `patience` while discovery has not spoken.
    pub fn acquire(&self, ask: Ask) -> Acquire<B, S> {
        Acquire::new(self.clone(), ask)
    }

    #[inline(always)]
    pub(crate) fn try_pick(&mut self, ask: &Ask) -> Result<Lease<Arc<B>>, Refusal> {
        if self.is_queued() {
            return Err(self.queued(ask));
        }
        self.pick_now(ask)
    }

    /// Others wait: so does this one, if waiting is of any use to it.
    #[cold]
    fn queued(&mut self, ask: &Ask) -> Refusal {
        self.refresh();
        let view = self.view(ask);
        match self.obstacle(&view) {
            Refusal::Full | Refusal::Unready => Refusal::Queued,
            _ if self.snapshot.at_home(&view).is_some() => Refusal::Queued,
            refusal => refusal,
        }
    }

    /// What an ask is up against for which nobody was open.
    fn obstacle(&self, view: &View<'_, B>) -> Refusal {
        if view.ask().is_strict() && view.ask().home().is_some() {
            let now = self.shared.core.clock().now();
            if let Absence::Refused(refusal) = self.snapshot.without_home(view, now) {
                return refusal;
            }
        }
        refusal(self.snapshot.phase, view.obstacle())
    }

    /// What a refusal comes down to: who waits behind others waits for the same as they.
    fn cause(&mut self, why: Refusal, ask: &Ask) -> Refusal {
        if why != Refusal::Queued {
            return why;
        }
        self.refresh();
        self.obstacle(&self.view(ask))
    }

    fn view<'a>(&'a self, ask: &'a Ask) -> View<'a, B> {
        View::new(&self.snapshot.roster, ask, &self.shared.core.surroundings, self.random)
    }

    /// A pick, if it is this one's turn to look for one: without a queue there are no turns.
    fn pick_in_turn(&mut self, is_next: bool, ask: &Ask) -> Result<Lease<Arc<B>>, Refusal> {
        if is_next || !self.shared.has_queue() {
            self.pick_now(ask)
        } else {
            Err(Refusal::Queued)
        }
    }

    /// What room this ask may have: its own if it has tried some members, or if its home takes no others.
    fn choice(&mut self, ask: &Ask) -> Choice {
        self.refresh();
        let is_closed = |at: At| at.index() >= self.snapshot.roster.open() as usize;
        let home = ask.home().and_then(|home| self.snapshot.find(home.id()));
        if !ask.tried().is_empty() || home.is_some_and(|at| ask.is_strict() || is_closed(at)) {
            Choice::Own
        } else {
            Choice::Any
        }
    }

    /// Whether who comes now has to wait behind others.
    #[inline]
    fn is_queued(&self) -> bool {
        self.shared.has_queue() && self.shared.core.gate.is_waited_at()
    }

    /// A pick, whoever waits.
    #[inline(always)]
    fn pick_now(&mut self, ask: &Ask) -> Result<Lease<Arc<B>>, Refusal> {
        for _ in 0..RACES {
            self.refresh();
            let roster = &self.snapshot.roster;
            let core = &self.shared.core;
            let view = View::new(roster, ask, &core.surroundings, self.random);
            let at = choose(&self.snapshot, core, &view)?;
            let keeps_home = view.keeps_home();
            let (started, random) = view.end();
            self.random = random;
            let Some(token) = roster.token(at).upgrade() else {
                // The member left, or was replaced, after this snapshot: there is a newer one.
                self.snapshot = self.shared.current();
                continue;
            };
            if core.needs.wants_total() {
                core.surroundings.in_flight.0.fetch_add(1, Relaxed);
            }
            let mut stamp = Stamp::since(core.surroundings.epoch, started);
            if roster.is_limited() {
                if core.adaptive.is_some() {
                    stamp = core.surroundings.stamped(stamp);
                }
                // Against the publish of a newer snapshot, whose picks count this lease only if it came first. (No test
                // can show it on x86, where taking the token is a fence as well.)
                fence(Ordering::SeqCst);
            }
            let mut lease = Lease::new(token, stamp);
            if keeps_home {
                lease.keep_home();
            }
            if self.is_behind() {
                lease.abandon();
                continue;
            }
            if !roster.is_limited() || roster.admits(at, 0) {
                return Ok(lease);
            }
            // Another came first and filled it up.
            lease.abandon();
            std::hint::spin_loop();
        }
        Err(Refusal::Full)
    }

    /// Whether there is a newer snapshot than this clone's.
    #[inline]
    fn is_behind(&self) -> bool {
        self.shared.version() != self.snapshot.version
    }

    #[inline]
    fn refresh(&mut self) {
        if self.is_behind() {
            self.snapshot = self.shared.current();
        }
    }

    /// What the selector alone would choose now, without taking or checking it: for tests and benches of selectors.
    #[inline]
    pub fn select(&mut self, ask: &Ask) -> Option<At> {
        self.refresh();
        let core = &self.shared.core;
        let view = View::new(&self.snapshot.roster, ask, &core.surroundings, self.random);
        let pick = Pick::new(&view, &self.snapshot.lives);
        let at = self.snapshot.select(&core.selector, &pick);
        self.random = view.end().1;
        at
    }

    /// The id of the member at a position that this clone's last [`select`](Pool::select) returned.
    pub fn id_at(&self, at: At) -> Option<&str> {
        self.snapshot.lives.get(at.index()).map(|live| &*live.id)
    }

    /// The members as they are now, open ones first, each group in the order of joining; none of a pool that was closed
    /// and has come to rest. O(members).
    pub fn members(&self) -> Vec<Member<B>> {
        let members = || {
            let snapshot = self.shared.current();
            let members = (0..snapshot.roster.total()).map(|index| snapshot.member(index));
            members.collect::<Vec<_>>()
        };
        // One whose backend is gone has left meanwhile: then there is a newer snapshot.
        let whole = (0..RACES)
            .map(|_| members())
            .find(|members| members.iter().all(Option::is_some));
        whole.unwrap_or_else(members).into_iter().flatten().collect()
    }

    /// A handle that changes the members.
    pub fn handle(&self) -> Handle<B> {
        Handle::new(Arc::clone(&self.shared.mailbox))
    }

    /// What happens to the pool from now on.
    pub fn events(&self) -> Events {
        self.shared.subscribers.subscribe()
    }

    /// Closes the pool for all its clones: discovery ends and, as soon as the driver has taken it in, every pick is
    /// unavailable. What is returned is ready once nothing is in flight; at once if that is so already.
    pub fn close(&self) -> Applied {
        let is_closed = self.shared.current().phase == Phase::Closed;
        if is_closed && self.shared.mailbox.is_closed() {
            Applied::done()
        } else {
            self.handle().close()
        }
    }

    /// The clock that all of the pool goes by.
    pub(crate) fn clock(&self) -> &crate::clock::Clock {
        self.shared().core.clock()
    }

    pub(crate) fn shared(&self) -> &Shared<B, S> {
        &self.shared
    }
}

/// The home if it can be had, else the selector's choice.
#[inline(always)]
fn choose<B: Backend, S: Selector<B>>(
    snapshot: &Snapshot<B, S>,
    core: &Core<B, S>,
    view: &View<'_, B>,
) -> Result<At, Refusal> {
    if view.ask().home().is_some() {
        view.keep_home(false);
        if let Some(at) = snapshot.at_home(view) {
            return Ok(at);
        }
        match snapshot.without_home(view, core.clock().now()) {
            Absence::Moves => {}
            Absence::Keeps => view.keep_home(true),
            Absence::Refused(refusal) => return Err(refusal),
        }
    }
    let pick = Pick::new(view, &snapshot.lives);
    match snapshot.select(&core.selector, &pick) {
        Some(at) if pick.is_open(at) => Ok(at),
        // A selector that keeps its contract found none because there is none; one that does not is helped out.
        _ => choose_otherwise(snapshot, core, view),
    }
}

/// Whoever is open; and if all fail, one of them is chosen: its error says more than ours could.
#[cold]
fn choose_otherwise<B: Backend, S: Selector<B>>(
    snapshot: &Snapshot<B, S>,
    core: &Core<B, S>,
    view: &View<'_, B>,
) -> Result<At, Refusal> {
    if let Some(at) = Pick::new(view, &snapshot.lives).any_open() {
        return Ok(at);
    }
    if view.take_all_keys() {
        return choose(snapshot, core, view);
    }
    match (snapshot.phase, view.obstacle()) {
        (Phase::Serving, Obstacle::Failing) => {
            view.take_failing();
            choose(snapshot, core, view)
        }
        (Phase::Serving, Obstacle::Gone(at)) => Ok(at),
        (phase, obstacle) => Err(refusal(phase, obstacle)),
    }
}

fn refusal(phase: Phase, obstacle: Obstacle) -> Refusal {
    match (phase, obstacle) {
        (Phase::Closed, _) => Refusal::Closed,
        (Phase::Silent, _) => Refusal::Silent,
        (Phase::Serving, Obstacle::Nobody) => Refusal::Nobody,
        (Phase::Serving, Obstacle::Unready) => Refusal::Unready,
        (Phase::Serving, _) => Refusal::Full,
    }
}

impl<B: Backend, S: Selector<B>> Clone for Pool<B, S> {
    fn clone(&self) -> Self {
        // One's own snapshot, for which no lock is needed: a pick looks for a newer one anyway.
        Self::new(Arc::clone(&self.shared), Arc::clone(&self.snapshot))
    }
}

impl<B: Backend, S: Selector<B>> fmt::Debug for Pool<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("members", &self.shared.current().roster.total())
            .finish()
    }
}
