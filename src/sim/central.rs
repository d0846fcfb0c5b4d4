//! The reference: one central first-come queue.

use std::collections::VecDeque;

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{
    Befalls, Scenario,
    server::{Job, State},
    workload::{Request, Stream},
    world::{Front, World},
};

/// One first-come queue before all servers: the fastest at the moment that has an idle slot takes the next request, of
/// several as fast a random one. It knows who serves, and how fast, and sends nothing to others.
pub(super) struct Central {
    queue: VecDeque<u32>,
    requests: Vec<Request>,
    /// Servers that have an idle slot, in any order, and where in there each is.
    idle: Vec<usize>,
    places: Vec<Option<usize>>,
    members: Vec<bool>,
    random: Xoshiro256PlusPlus,
    /// To the servers and back: it stands beside them.
    way: u64,
}

impl Central {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let servers = scenario.servers as usize;
        let starting = scenario.starting() as usize;
        Self {
            queue: VecDeque::new(),
            requests: Vec::new(),
            idle: (0..starting).collect(),
            places: (0..servers)
                .map(|server| (server < starting).then_some(server))
                .collect(),
            members: (0..servers).map(|server| server < starting).collect(),
            random: Stream::Reference.of(scenario.seed),
            way: 2 * (scenario.delay * scenario.mean.as_nanos() as f64) as u64,
        }
    }

    /// A server's slots may have become idle, or none of it is any more.
    fn note(&mut self, world: &World<()>, server: usize) {
        let at = &world.servers[server];
        let is_idle = self.members[server] && at.state == State::Serving && at.has_idle_slot();
        match (is_idle, self.places[server]) {
            (true, None) => {
                self.places[server] = Some(self.idle.len());
                self.idle.push(server);
            }
            (false, Some(place)) => {
                self.idle.swap_remove(place);
                if let Some(moved) = self.idle.get(place) {
                    self.places[*moved] = Some(place);
                }
                self.places[server] = None;
            }
            _ => {}
        }
    }

    fn hand_out(&mut self, world: &mut World<()>) {
        while !self.idle.is_empty() {
            let Some(id) = self.queue.pop_front() else {
                return;
            };
            let server = self.fastest(world);
            let request = self.requests[id as usize];
            let demand = request.demand;
            world.measure.sent(id, &request, server);
            world.serve(server, Job { id, demand });
            self.note(world, server);
        }
    }

    /// Of those that have an idle slot, which there are.
    fn fastest(&mut self, world: &World<()>) -> usize {
        let (mut fastest, mut speed, mut ties) = (self.idle[0], 0.0, 0);
        for server in &self.idle {
            let this = world.servers[*server].full_speed();
            if this > speed {
                (fastest, speed, ties) = (*server, this, 1);
            } else if this == speed {
                ties += 1;
                // Each of so many with the same chance, in the end.
                if self.random.random_range(0..ties) == 0 {
                    fastest = *server;
                }
            }
        }
        fastest
    }

    fn end(&mut self, world: &mut World<()>, id: u32, is_success: bool) {
        let request = self.requests[id as usize];
        let is_success = is_success && !request.fails;
        world.measure.ended(id, &request, world.now + self.way, is_success);
    }
}

impl Front for Central {
    type Parcel = ();

    fn arrive(&mut self, world: &mut World<()>, id: u32, request: Request) {
        self.requests.push(request);
        self.queue.push_back(id);
        self.hand_out(world);
    }

    fn served(&mut self, world: &mut World<()>, server: usize, id: u32) {
        self.end(world, id, true);
        self.note(world, server);
        self.hand_out(world);
    }

    fn lost(&mut self, world: &mut World<()>, _: usize, id: u32) {
        self.end(world, id, false);
    }

    fn befallen(&mut self, world: &mut World<()>, server: usize, what: Befalls) {
        match what {
            Befalls::Joins => self.members[server] = true,
            Befalls::Leaves => self.members[server] = false,
            _ => {}
        }
        self.note(world, server);
        self.hand_out(world);
    }

    fn deliver(&mut self, _: &mut World<()>, (): ()) {}

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn wake(&mut self, _: &mut World<()>) {}
}
