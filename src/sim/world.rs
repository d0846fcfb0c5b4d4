//! What happens, one thing after another.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{
    Befalls, Change, Run, Scenario,
    measure::Measure,
    server::{Job, Server},
    workload::{Request, Stream, Workload},
};

/// Servers and the events that are to come.
pub(super) struct World<P> {
    /// In nanoseconds since the simulation began.
    pub(super) now: u64,
    pub(super) servers: Vec<Server>,
    pub(super) measure: Measure,
    events: BinaryHeap<Reverse<Entry<P>>>,
    entered: u64,
    antagonists: Option<(f64, f64, Xoshiro256PlusPlus)>,
}

/// What stands before the servers.
pub(super) trait Front {
    /// What it has on the way.
    type Parcel;

    /// A request has come.
    fn arrive(&mut self, world: &mut World<Self::Parcel>, id: u32, request: Request);
    /// A server has served a request.
    fn served(&mut self, world: &mut World<Self::Parcel>, server: usize, id: u32);
    /// A server has lost a request.
    fn lost(&mut self, world: &mut World<Self::Parcel>, server: usize, id: u32);
    /// Something has befallen a server.
    fn befallen(&mut self, world: &mut World<Self::Parcel>, server: usize, what: Befalls);
    /// What was on its way is there.
    fn deliver(&mut self, world: &mut World<Self::Parcel>, parcel: Self::Parcel);
    /// When it wants to be woken, if nothing else happens before.
    fn deadline(&self) -> Option<u64>;
    /// It is that late.
    fn wake(&mut self, world: &mut World<Self::Parcel>);
}

enum Event<P> {
    Arrive(Request),
    /// Of the version of the server's foretelling.
    End(usize, u64),
    Redraw(usize),
    Befall(usize, Befalls),
    Look,
    Parcel(P),
}

struct Entry<P> {
    at: u64,
    /// Of those at one time the first that was entered comes first.
    order: u64,
    event: Event<P>,
}

/// How many mean service times the requests that never end are waited for, and the way there and back.
const PATIENCE: f64 = 1_000.0;

/// Plays a scenario from `begin` on, in nanoseconds.
pub(super) fn play<F: Front>(scenario: &Scenario, begin: u64, front: &mut F) -> Run {
    let mean = scenario.mean.as_nanos() as f64;
    let mut workload = Workload::new(scenario, begin);
    let window = window(scenario, begin);
    let patience = (mean * (PATIENCE + 2.0 * scenario.delay)) as u64;
    let end = window.end + window.end.saturating_sub(window.start) / 5 + patience;
    let mut world = World::new(scenario, begin, Measure::new(scenario, window));
    let mut id = 0;
    world.next_arrival(&mut workload);
    // Servers are looked at until the end of the window, even should all that is measured have ended before.
    while !world.measure.is_over() || world.now < world.measure.window.end {
        let next = world.events.peek().map(|Reverse(entry)| entry.at);
        if let Some(deadline) = front
            .deadline()
            .filter(|deadline| next.is_none_or(|next| *deadline <= next))
        {
            world.now = world.now.max(deadline);
            front.wake(&mut world);
        } else if let Some(Reverse(entry)) = world.events.pop() {
            world.now = entry.at;
            match entry.event {
                Event::Arrive(request) => {
                    front.arrive(&mut world, id, request);
                    id += 1;
                    if id < world.measure.most_requests() {
                        world.next_arrival(&mut workload);
                    }
                }
                event => world.happen(front, event),
            }
        } else {
            break;
        }
        if world.now > end {
            break;
        }
    }
    // The looks that are left, if there is nothing more to come.
    while let Some(Reverse(entry)) = world.events.pop() {
        if matches!(entry.event, Event::Look) {
            world.now = entry.at;
            world.look();
        }
    }
    world.measure.finish()
}

/// When requests are measured, as far as can be known before.
fn window(scenario: &Scenario, begin: u64) -> std::ops::Range<u64> {
    let (first, last) = (scenario.warm_up(), scenario.warm_up() + scenario.requests());
    let at = |count: u32| match &scenario.trace {
        Some(_) => {
            let request = Workload::new(scenario, begin).nth(count.saturating_sub(1) as usize);
            request.map_or(begin, |request| request.arrival)
        }
        None => {
            let mean = scenario.mean.as_nanos() as f64;
            begin + (f64::from(count) / scenario.rate() * mean) as u64
        }
    };
    at(first)..at(last)
}

impl<P> World<P> {
    fn new(scenario: &Scenario, begin: u64, measure: Measure) -> Self {
        let server = |index| Server::new(scenario.discipline, scenario.slots, scenario.speed(index));
        let mean = scenario.mean.as_nanos() as f64;
        let mut world = Self {
            // Balancers begin before requests come.
            now: 0,
            servers: (0..scenario.servers as usize).map(server).collect(),
            measure,
            events: BinaryHeap::new(),
            entered: 0,
            antagonists: None,
        };
        if let Some(antagonists) = scenario.antagonists {
            let mut random = Stream::Servers.of(scenario.seed);
            let every = antagonists.every * mean;
            for server in 0..world.servers.len() {
                world.redraw(server, antagonists.speed, &mut random);
                // Not all at the same time.
                let phase = random.random_range(0.0..every);
                world.schedule(begin + phase as u64, Event::Redraw(server));
            }
            world.antagonists = Some((antagonists.speed, every, random));
        }
        let window = world.measure.window.clone();
        for Change { at, servers, what } in &scenario.changes {
            let at = window.start + ((window.end - window.start) as f64 * at) as u64;
            for server in servers.clone() {
                world.schedule(at, Event::Befall(server as usize, *what));
            }
        }
        world.schedule(window.start, Event::Look);
        world
    }

    fn schedule(&mut self, at: u64, event: Event<P>) {
        let order = self.entered;
        self.entered += 1;
        self.events.push(Reverse(Entry { at, order, event }));
    }

    fn next_arrival(&mut self, workload: &mut Workload) {
        if let Some(request) = workload.next() {
            self.schedule(request.arrival, Event::Arrive(request));
        }
    }

    fn look(&mut self) {
        self.measure.look(self.now, &mut self.servers);
        if let Some(next) = self.measure.next_look(self.now) {
            self.schedule(next, Event::Look);
        }
    }

    fn redraw(&mut self, server: usize, speed: f64, random: &mut Xoshiro256PlusPlus) {
        let left = if random.random() { 1.0 } else { speed };
        self.servers[server].leave_speed(self.now, left);
        self.foretell(server);
    }

    fn happen<F: Front<Parcel = P>>(&mut self, front: &mut F, event: Event<P>) {
        match event {
            Event::Arrive(_) => {}
            Event::End(server, version) => {
                if self.servers[server].version != version {
                    return;
                }
                self.servers[server].foretold_has_come();
                while let Some(id) = self.servers[server].end_one(self.now) {
                    front.served(self, server, id);
                }
                self.foretell(server);
            }
            Event::Redraw(server) => {
                if let Some((speed, every, mut random)) = self.antagonists.take() {
                    self.redraw(server, speed, &mut random);
                    self.schedule(self.now + every as u64, Event::Redraw(server));
                    self.antagonists = Some((speed, every, random));
                }
            }
            Event::Befall(server, what) => {
                let lost = self.servers[server].befall(self.now, what);
                self.foretell(server);
                lost.into_iter().for_each(|id| front.lost(self, server, id));
                front.befallen(self, server, what);
            }
            Event::Look => self.look(),
            Event::Parcel(parcel) => front.deliver(self, parcel),
        }
    }

    /// A server gets a request.
    pub(super) fn serve(&mut self, server: usize, job: Job) {
        self.servers[server].take(self.now, job);
        self.foretell(server);
    }

    fn foretell(&mut self, server: usize) {
        let server_at = &mut self.servers[server];
        if let Some(end) = server_at.foretell() {
            let version = server_at.version;
            self.schedule(end, Event::End(server, version));
        }
    }

    /// Something is on its way for so long.
    pub(super) fn send(&mut self, after: u64, parcel: P) {
        self.schedule(self.now.saturating_add(after), Event::Parcel(parcel));
    }
}

impl<P> Ord for Entry<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<P> PartialOrd for Entry<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Entry<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<P> Eq for Entry<P> {}
