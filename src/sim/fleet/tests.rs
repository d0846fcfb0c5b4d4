//! When a fleet is woken, and what becomes of each request and probe that it sends.

use std::collections::{HashMap, HashSet};

use super::{
    super::{Change, ServiceTime, world::play},
    *,
};
use crate::{HealthProbe, sim::network::Inquiry};

/// A fleet that is looked at whenever something has happened, or it was woken.
struct Watched<W> {
    fleet: Fleet,
    watch: W,
}

#[derive(PartialEq)]
enum Seen {
    Happened,
    Woken,
}

impl<W: FnMut(&mut Fleet, &mut World<Parcel>, Seen)> Front for Watched<W> {
    type Parcel = Parcel;

    fn arrive(&mut self, world: &mut World<Parcel>, id: u32, request: Request) {
        self.fleet.arrive(world, id, request);
        (self.watch)(&mut self.fleet, world, Seen::Happened);
    }
    fn served(&mut self, world: &mut World<Parcel>, server: usize, id: u32) {
        self.fleet.served(world, server, id);
        (self.watch)(&mut self.fleet, world, Seen::Happened);
    }
    fn lost(&mut self, world: &mut World<Parcel>, server: usize, id: u32) {
        self.fleet.lost(world, server, id);
        (self.watch)(&mut self.fleet, world, Seen::Happened);
    }
    fn befallen(&mut self, world: &mut World<Parcel>, server: usize, what: Befalls) {
        self.fleet.befallen(world, server, what);
        (self.watch)(&mut self.fleet, world, Seen::Happened);
    }
    fn deliver(&mut self, world: &mut World<Parcel>, parcel: Parcel) {
        self.fleet.deliver(world, parcel);
        (self.watch)(&mut self.fleet, world, Seen::Happened);
    }
    fn deadline(&self) -> Option<u64> {
        self.fleet.deadline()
    }
    fn wake(&mut self, world: &mut World<Parcel>) {
        self.fleet.wake(world);
        (self.watch)(&mut self.fleet, world, Seen::Woken);
    }
}

/// Plays a scenario and looks at the fleet all along.
fn watch(scenario: &Scenario, contender: &str, watch: impl FnMut(&mut Fleet, &mut World<Parcel>, Seen)) {
    let begin = super::super::begin(scenario);
    let fleet = Fleet::new(scenario, &contender.parse().unwrap(), begin);
    play(scenario, begin, &mut Watched { fleet, watch });
}

fn one_server(slots: u32) -> Scenario {
    let one = Scenario::new().with_servers(1).unwrap();
    one.with_slots(slots).unwrap()
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn timers_are_not_in_step_however_long_requests_take() {
    for mean in [Duration::from_millis(10), Duration::from_secs(1)] {
        let one = one_server(1).with_clients(20).unwrap().with_requests(500).unwrap();
        let one = one.with_mean(mean).unwrap();
        let begin = super::super::begin(&one);
        // As parts of a second.
        let mut woken = HashSet::new();
        // It wants its table anew each second.
        watch(&one, "reported_load", |_, world, seen| {
            if seen == Seen::Woken && world.now >= begin {
                woken.insert(world.now % SECOND);
            }
        });
        assert_eq!(woken.len(), 20, "{mean:?}: {woken:?}");
    }
}

const MEAN: u64 = 10_000_000;
const DELAY: u64 = MEAN / 4;
const TIMEOUT: u64 = 5 * MEAN;

/// A server that serves all at once, until at a half of the run something befalls it.
fn befallen(what: Befalls) -> Scenario {
    let one = one_server(1_000).with_service(ServiceTime::Constant);
    let one = one.with_load(0.01).unwrap().with_requests(100).unwrap();
    let one = one.with_delay(0.25).unwrap().with_timeout(5.0).unwrap();
    one.with_changes([Change::of(0, 0.5, what)]).unwrap()
}

#[test]
fn each_request_is_answered_when_its_server_does_and_the_way_back_is_over() {
    for what in [
        Befalls::Serves,
        Befalls::Crashes,
        Befalls::FailsFast,
        Befalls::Swallows,
        Befalls::Slows(3),
    ] {
        // When it befalls the server, and when each request came and was answered.
        let mut at = u64::MAX;
        let mut flights: HashMap<usize, (u64, u64)> = HashMap::new();
        let scenario = befallen(what);
        watch(&scenario, "random", |fleet, world, _| {
            let window = &world.measure.window;
            at = window.start + (window.end - window.start) / 2;
            for (id, flight) in fleet.flights.iter().enumerate() {
                if flight.answer.is_none() {
                    flights.entry(id).or_insert((flight.request.arrival, world.now));
                }
            }
        });
        // What is not measured may be under way at the end.
        for id in scenario.warm_up()..scenario.warm_up() + scenario.requests() {
            let (arrival, answered) = flights[&(id as usize)];
            let (reached, served) = (arrival + DELAY, arrival + DELAY + MEAN);
            let expected = match what {
                Befalls::Swallows if reached > at => arrival + TIMEOUT,
                Befalls::Crashes | Befalls::FailsFast if reached > at => reached + DELAY,
                // What it worked on it has dropped.
                Befalls::Crashes if served > at => at + DELAY,
                // Of what it worked on the rest takes longer.
                Befalls::Slows(times) if served > at => {
                    let rest = served - reached.max(at);
                    served + rest * u64::from(times - 1) + DELAY
                }
                _ => served + DELAY,
            };
            // As far as work is reckoned in whole nanoseconds.
            assert!(
                answered.abs_diff(expected) < 3,
                "{what:?} of {id}: {arrival} {answered} {at}"
            );
        }
        let is_under_way = |flight: &(u64, u64)| (at - MEAN..at - DELAY).contains(&(flight.0 + DELAY));
        assert!(flights.values().filter(|flight| is_under_way(flight)).count() > 3);
        assert!(
            flights
                .values()
                .any(|(arrival, _)| *arrival < at && arrival + DELAY > at)
        );
    }
}

#[test]
fn each_probe_is_answered_as_its_server_is_and_the_way_back_is_over() {
    let way = Some(2 * DELAY);
    let (shallow, deep) = (Question::Shallow, Question::Deep);
    let refused = "the server refused or dropped the request";
    let cases = [
        (Befalls::Serves, shallow, way, "a report"),
        (Befalls::FailsFast, shallow, way, "a report"),
        (Befalls::Slows(3), shallow, way, "a report"),
        (Befalls::Crashes, shallow, way, refused),
        (Befalls::Swallows, shallow, None, "nothing"),
        // What asks for as much as a request takes as long.
        (Befalls::Serves, deep, Some(2 * DELAY + MEAN), "a report"),
        (Befalls::FailsFast, deep, way, "the server answered with a failure"),
        (Befalls::Slows(3), deep, Some(2 * DELAY + 3 * MEAN), "a report"),
        (Befalls::Crashes, deep, way, refused),
        (Befalls::Swallows, deep, None, "nothing"),
    ];
    for (what, question, after, answer) in cases {
        let (mut asked, mut answered) = (None, None);
        let mut probe = None;
        watch(&befallen(what), "random", |fleet, world, _| {
            let window = &world.measure.window;
            if world.now <= window.start + (window.end - window.start) / 2 || answered.is_some() {
                return;
            }
            let probe = probe.get_or_insert_with(|| {
                asked = Some(world.now);
                let network = fleet.network.clone();
                let inquiry = Inquiry { network, question };
                Box::pin(async move { inquiry.probe(&backend(0)).await })
            });
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(load) = probe.as_mut().poll(&mut cx) {
                let told = load.map_or_else(|failed| failed.to_string(), |_| "a report".to_owned());
                answered = Some((world.now, told));
            }
            fleet.run(world);
        });
        let asked = asked.unwrap();
        let (at, told) = answered.unzip();
        // As far as work is reckoned in whole nanoseconds.
        let is_after = match (at, after) {
            (Some(at), Some(after)) => (at - asked).abs_diff(after) < 3,
            (at, after) => at == after,
        };
        assert!(is_after, "{what:?} {question:?}: {:?}", at.map(|at| at - asked));
        assert_eq!(told.as_deref().unwrap_or("nothing"), answer, "{what:?} {question:?}");
    }
}
