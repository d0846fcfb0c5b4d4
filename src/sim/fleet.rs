//! Balancers that know nothing of each other: pools, with their drivers, behind the tower face.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use futures_channel::oneshot;
use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Befalls, Contender, Scenario,
    network::{Backend, Call, Failed, Message, Network, Question, Reply, Spoken},
    server::{Job, State},
    workload::{Request, Stream},
    world::{Front, World},
};
use crate::{
    Admission, AnySelector, Ask, Balance, BalanceLayer, Event, Events, Handle, Health, Keyed, KeyedLayer, LoadReport,
    ManualClock, Pool,
    load::{Meter, Metered},
    selector,
};

type Selector = AnySelector<Backend>;
type Balanced = Keyed<Balance<Network, Backend, Selector, Spoken>, fn(&Call) -> Option<u64>>;

/// Balancers, and the network between them and the servers.
pub(super) struct Fleet {
    clock: ManualClock,
    start: Instant,
    clients: Vec<Client>,
    /// When others begin, the last first.
    beginners: Vec<u64>,
    phases: Xoshiro256PlusPlus,
    tasks: FuturesUnordered<Pin<Box<dyn Future<Output = Option<Ended>>>>>,
    woken: Arc<Woken>,
    network: Network,
    meters: Vec<Meter>,
    contender: Contender,
    starting: usize,
    servers: u32,
    slots: u32,
    flights: Vec<Flight>,
    /// Probes that never are.
    unanswered: Vec<Probe>,
    /// Probes that servers work on, by their job's number.
    deep: HashMap<u32, Probe>,
    next_deep: u32,
    mean: f64,
    verdicts: Arc<Verdicts>,
    delay: u64,
    timeout: Option<u64>,
}

struct Client {
    balanced: Balanced,
    handle: Handle<Backend>,
}

/// A request from its arrival on.
struct Flight {
    request: Request,
    server: usize,
    answer: Option<oneshot::Sender<Result<Reply, Failed>>>,
    metered: Option<Metered>,
}

/// A call that has ended.
struct Ended {
    id: u32,
    is_success: bool,
}

/// What is on its way.
pub(super) enum Parcel {
    Request(u32),
    Answer(u32, Result<Reply, Failed>),
    Timeout(u32),
    Probe(usize, Question, Probe),
    Probed(Result<LoadReport, Failed>, Probe),
}

/// Where the answer to a probe goes.
type Probe = oneshot::Sender<Result<LoadReport, Failed>>;

/// Jobs with these numbers are probes: no request has one.
const DEEP: u32 = 1 << 31;

/// What balancers have found of servers.
#[derive(Default)]
struct Verdicts {
    ejections: AtomicU64,
    failing: AtomicU64,
}

impl Verdicts {
    fn note(&self, event: &Event) {
        match event {
            Event::Ejected { .. } => self.ejections.fetch_add(1, Relaxed),
            Event::HealthChanged {
                health: Health::Failing,
                ..
            } => self.failing.fetch_add(1, Relaxed),
            _ => 0,
        };
    }

    async fn note_all(verdicts: Arc<Self>, mut events: Events) {
        while let Some(event) = events.next().await {
            verdicts.note(&event);
        }
    }
}

/// Whether anything wants to be polled.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

fn name(server: usize) -> String {
    format!("server-{server}")
}

fn backend(server: usize) -> Backend {
    Backend::new(name(server), server)
}

impl Fleet {
    /// Balancers that begin one after another in the time before `begin`, in nanoseconds, each with some picks behind it: so
    /// that neither their timers nor their positions are in step.
    pub(super) fn new(scenario: &Scenario, contender: &Contender, begin: u64) -> Self {
        let clock = ManualClock::new();
        let mean = scenario.mean.as_nanos() as f64;
        let mut fleet = Self {
            start: clock.now(),
            meters: (0..scenario.servers).map(|_| Meter::new(clock.clock())).collect(),
            clock,
            clients: Vec::new(),
            beginners: Vec::new(),
            phases: Stream::Phases.of(scenario.seed),
            tasks: FuturesUnordered::new(),
            woken: Arc::default(),
            network: Network::default(),
            contender: contender.clone(),
            starting: scenario.starting() as usize,
            servers: scenario.servers,
            slots: scenario.slots,
            flights: Vec::new(),
            unanswered: Vec::new(),
            deep: HashMap::new(),
            next_deep: DEEP,
            mean,
            verdicts: Arc::default(),
            delay: (scenario.delay * mean) as u64,
            timeout: scenario.timeout.map(|timeout| (timeout * mean) as u64),
        };
        let phases = (0..scenario.clients).map(|_| fleet.phases.random_range(0..begin));
        fleet.beginners = phases.collect();
        fleet.beginners.sort_unstable_by(|one, other| other.cmp(one));
        fleet
    }

    fn begin_client(&mut self) {
        let random = &mut self.phases;
        let picks = random.random_range(0..2 * self.servers);
        let asks: Vec<Ask> = (0..picks).map(|_| Ask::new().with_key(random.random())).collect();
        let seed: u64 = random.random();
        // What would be one client for the whole process, and another in each, is a client of its own.
        let own = selector::Client::named(&format!("client-{seed}")).unwrap_or_default();
        let selector: Selector = self.contender.strategy().for_client(&own).selector();
        let builder = Pool::builder_on(self.clock.clock())
            .selector(selector)
            .backends((0..self.starting).map(backend))
            .probe(self.network.clone())
            .seed(seed);
        let builder = self.contender.fitness().equip(builder, &self.network);
        let (mut pool, driver) = match self.contender.limit() {
            None => builder.build(),
            Some(limit) => {
                let queue = Admission::Queue {
                    capacity: usize::MAX,
                    deadline: Duration::MAX,
                };
                builder.in_flight_limit(limit.of(self.slots)).admission(queue).build()
            }
        };
        for ask in &asks {
            // Given up at once.
            drop(pool.pick(ask));
        }
        let noting = Verdicts::note_all(Arc::clone(&self.verdicts), pool.events());
        self.tasks.push(Box::pin(async {
            noting.await;
            None
        }));
        let key: fn(&Call) -> Option<u64> = |call| call.key;
        self.clients.push(Client {
            handle: pool.handle(),
            balanced: KeyedLayer::new(key)
                .layer(BalanceLayer::with(pool, Spoken, tower_layer::Identity::new()).layer(self.network.clone())),
        });
        self.tasks.push(Box::pin(async {
            driver.await;
            None
        }));
    }

    /// The clock as it is in the world.
    fn tick(&mut self, now: u64) {
        let behind = Duration::from_nanos(now).saturating_sub(self.clock.now() - self.start);
        if !behind.is_zero() {
            self.clock.advance(behind);
        }
    }

    /// All that can go on by itself does.
    fn run(&mut self, world: &mut World<Parcel>) {
        self.woken.0.store(true, Relaxed);
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        while self.woken.0.swap(false, Relaxed) {
            while let Poll::Ready(Some(ended)) = self.tasks.poll_next_unpin(&mut cx) {
                if let Some(Ended { id, is_success }) = ended {
                    let request = &self.flights[id as usize].request;
                    world.measure.ended(id, request, world.now, is_success);
                }
            }
            self.post(world);
        }
    }

    /// What balancers have sent goes on its way.
    fn post(&mut self, world: &mut World<Parcel>) {
        for message in self.network.take() {
            match message {
                Message::Request(id, server, answer) => {
                    let flight = &mut self.flights[id as usize];
                    (flight.server, flight.answer) = (server, Some(answer));
                    world.measure.sent(id, &flight.request, server);
                    if let Some(timeout) = self.timeout {
                        world.send(timeout, Parcel::Timeout(id));
                    }
                    self.send(world, Parcel::Request(id));
                }
                Message::Probe(server, question, answer) => self.send(world, Parcel::Probe(server, question, answer)),
            }
        }
    }

    /// On its way for as long as there is one.
    fn send(&mut self, world: &mut World<Parcel>, parcel: Parcel) {
        match self.delay {
            0 => self.hand_over(world, parcel),
            delay => world.send(delay, parcel),
        }
    }

    fn hand_over(&mut self, world: &mut World<Parcel>, parcel: Parcel) {
        match parcel {
            Parcel::Request(id) => self.reach(world, id),
            Parcel::Answer(id, answer) => self.answer(id, answer),
            Parcel::Timeout(id) => self.answer(id, Err(Failed::TimedOut)),
            Parcel::Probe(server, question, answer) => self.probe(world, server, question, answer),
            Parcel::Probed(load, answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(load);
            }
        }
    }

    /// A probe reaches its server.
    fn probe(&mut self, world: &mut World<Parcel>, server: usize, question: Question, answer: Probe) {
        match (world.servers[server].state, question) {
            // Dropped, it would be told that there will be no answer.
            (State::Swallowing, _) => self.unanswered.push(answer),
            (State::Down, _) => self.send(world, Parcel::Probed(Err(Failed::Refused), answer)),
            (State::FailingFast, Question::Deep) => self.send(world, Parcel::Probed(Err(Failed::Answered), answer)),
            (State::Serving, Question::Deep) => {
                let id = self.next_deep;
                self.next_deep = id.checked_add(1).unwrap_or(DEEP);
                self.deep.insert(id, answer);
                let demand = self.mean;
                world.serve(server, Job { id, demand });
            }
            (State::Serving | State::FailingFast, Question::Shallow) => {
                let load = self.load(world, server, self.meters[server].load());
                self.send(world, Parcel::Probed(Ok(load), answer));
            }
        }
    }

    /// What balancers have found: how many ejections, and how many that fail their checks.
    pub(super) fn verdicts(&self) -> (u64, u64) {
        let Verdicts { ejections, failing } = &*self.verdicts;
        (ejections.load(Relaxed), failing.load(Relaxed))
    }

    fn answer(&mut self, id: u32, answer: Result<Reply, Failed>) {
        if let Some(waiting) = self.flights[id as usize].answer.take() {
            let _ = waiting.send(answer);
        }
    }

    /// A request reaches its server.
    fn reach(&mut self, world: &mut World<Parcel>, id: u32) {
        let Flight { server, request, .. } = self.flights[id as usize];
        match world.servers[server].state {
            State::Swallowing => {}
            State::Down => self.send(world, Parcel::Answer(id, Err(Failed::Refused))),
            State::FailingFast => {
                let load = self.meters[server].begin().answered(true);
                let load = self.load(world, server, load);
                let reply = Reply { is_good: false, load };
                self.send(world, Parcel::Answer(id, Ok(reply)));
            }
            State::Serving => {
                self.flights[id as usize].metered = Some(self.meters[server].begin());
                let demand = request.demand;
                world.serve(server, Job { id, demand });
            }
        }
    }

    /// The probe that this job is, if it is one.
    fn deep_probe(&mut self, id: u32) -> Option<Probe> {
        (id >= DEEP).then(|| self.deep.remove(&id)).flatten()
    }

    /// What a server says of its load, with what only it knows itself.
    fn load(&self, world: &mut World<Parcel>, server: usize, load: LoadReport) -> LoadReport {
        let utilization = world.servers[server].utilization(world.now);
        load.with_utilization(utilization).unwrap_or(load)
    }
}

impl Front for Fleet {
    type Parcel = Parcel;

    fn arrive(&mut self, world: &mut World<Parcel>, id: u32, request: Request) {
        self.tick(world.now);
        self.flights.push(Flight {
            request,
            server: 0,
            answer: None,
            metered: None,
        });
        let key = request.key;
        let balanced = &mut self.clients[request.client as usize].balanced;
        let waker = Waker::from(Arc::clone(&self.woken));
        // Never anything else: the network takes whatever comes.
        let ready = Service::<Call>::poll_ready(balanced, &mut Context::from_waker(&waker));
        debug_assert!(matches!(ready, Poll::Ready(Ok(()))));
        let mut call = Box::pin(balanced.call(Call { id, key }));
        self.tasks.push(Box::pin(poll_fn(move |cx| {
            call.as_mut().poll(cx).map(|ended| {
                let is_success = ended.is_ok_and(|is_good| is_good);
                Some(Ended { id, is_success })
            })
        })));
        self.run(world);
    }

    fn served(&mut self, world: &mut World<Parcel>, server: usize, id: u32) {
        self.tick(world.now);
        if let Some(answer) = self.deep_probe(id) {
            let load = self.load(world, server, self.meters[server].load());
            self.send(world, Parcel::Probed(Ok(load), answer));
            self.run(world);
            return;
        }
        let flight = &mut self.flights[id as usize];
        let is_good = !flight.request.fails;
        if let Some(metered) = flight.metered.take() {
            let load = self.load(world, server, metered.answered(!is_good));
            drop(metered);
            let reply = Reply { is_good, load };
            self.send(world, Parcel::Answer(id, Ok(reply)));
            self.run(world);
        }
    }

    fn lost(&mut self, world: &mut World<Parcel>, _: usize, id: u32) {
        self.tick(world.now);
        match self.deep_probe(id) {
            Some(answer) => self.send(world, Parcel::Probed(Err(Failed::Refused), answer)),
            None => {
                self.flights[id as usize].metered = None;
                self.send(world, Parcel::Answer(id, Err(Failed::Refused)));
            }
        }
        self.run(world);
    }

    fn befallen(&mut self, world: &mut World<Parcel>, server: usize, what: Befalls) {
        self.tick(world.now);
        for client in &self.clients {
            // What has become of it is not waited for.
            match what {
                Befalls::Joins => drop(client.handle.insert(backend(server))),
                Befalls::Leaves => drop(client.handle.remove(name(server))),
                _ => {}
            }
        }
        self.run(world);
    }

    fn deliver(&mut self, world: &mut World<Parcel>, parcel: Parcel) {
        self.tick(world.now);
        self.hand_over(world, parcel);
        self.run(world);
    }

    fn deadline(&self) -> Option<u64> {
        let begins = self.beginners.last().copied();
        let timer = self.clock.next_deadline();
        let timer = timer.map(|deadline| (deadline - self.start).as_nanos() as u64);
        [begins, timer].into_iter().flatten().min()
    }

    fn wake(&mut self, world: &mut World<Parcel>) {
        self.tick(world.now);
        if self.beginners.last().is_some_and(|begins| *begins <= world.now) {
            self.beginners.pop();
            self.begin_client();
        }
        self.run(world);
    }
}

#[cfg(test)]
mod tests;
