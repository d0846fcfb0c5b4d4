//! A subset in a pool: who is chosen, who else when that is not to be, and what the inner selector gets to see.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Waker},
};

use equipoise::{
    Ask, Backend, Condition, Endpoint, Home, LeastLoaded, ManualClock, Outcome, Pool, Random, Readiness, RoundRobin,
    Selector, Strategy,
    selector::{At, Client, Members, Pick, Subset},
};
use futures_util::FutureExt;

type Node = Endpoint<()>;

fn nodes(count: usize) -> impl Iterator<Item = Node> {
    (0..count).map(|index| Endpoint::new(format!("b{index}"), ()))
}

fn of<S: Selector<Node>>(selector: S, members: usize) -> Pool<Node, S> {
    Pool::builder()
        .selector(selector)
        .seed(1)
        .backends(nodes(members))
        .build()
        .0
}

fn numbered<S>(inner: S, size: usize) -> Subset<S> {
    Subset::new(inner)
        .with_size(size)
        .unwrap()
        .with_client(Client::number(3))
}

/// Whom some picks go to, each ended before the next.
fn chosen<S: Selector<Node>>(pool: &mut Pool<Node, S>, picks: usize) -> HashMap<String, usize> {
    let mut chosen = HashMap::new();
    for _ in 0..picks {
        *chosen
            .entry(pool.pick(&Ask::new()).unwrap().backend_id().to_owned())
            .or_default() += 1;
    }
    chosen
}

#[test]
fn nobody_else_is_chosen_and_everybody_in_it_is() {
    let mut pool = of(numbered(RoundRobin::new(), 20), 1_000);
    let of_twenty = chosen(&mut pool, 2_000);
    assert_eq!(of_twenty.len(), 20);
    assert!(of_twenty.values().all(|picks| *picks == 100), "{of_twenty:?}");
    // The same by name and erased, and by another inner selector.
    let strategy: Strategy = "subset(least_loaded,size=20,client=3)".parse().unwrap();
    let ids: HashSet<String> = of_twenty.into_keys().collect();
    assert_eq!(
        chosen(&mut of(strategy.selector(), 1_000), 2_000)
            .into_keys()
            .collect::<HashSet<_>>(),
        ids
    );
    let nested = numbered(numbered(Random::new(), 5), 20);
    let of_five = chosen(&mut of(nested, 1_000), 500);
    assert_eq!(of_five.len(), 5);
    assert!(of_five.keys().all(|id| ids.contains(id)));
}

#[test]
fn another_client_gets_others() {
    let ids = |client: &str| -> HashSet<String> {
        let strategy: Strategy = format!("subset(size=20,client={client})").parse().unwrap();
        chosen(&mut of(strategy.selector(), 1_000), 2_000).into_keys().collect()
    };
    let clients = ["3", "4", "host-a", "host-b", "process"];
    let all: HashSet<String> = clients.into_iter().flat_map(ids).collect();
    assert!(all.len() > 80, "{}", all.len());
    assert_eq!(ids("process"), ids("process"));
}

#[test]
fn loads_and_limits_are_those_of_the_members_that_are_seen() {
    let backends = nodes(100);
    let selector = numbered(LeastLoaded::new(), 10);
    let builder = Pool::builder()
        .selector(selector)
        .seed(1)
        .in_flight_limit(2)
        .backends(backends);
    let (mut pool, _driver) = builder.build();
    let mut loads: HashMap<String, usize> = HashMap::new();
    let mut leases = Vec::new();
    for turn in 1..=20 {
        let lease = pool.pick(&Ask::new()).unwrap();
        *loads.entry(lease.backend_id().to_owned()).or_default() += 1;
        leases.push(lease);
        assert_eq!(loads.len(), turn.min(10), "{loads:?}");
    }
    // All of it are full: now anybody else.
    for _ in 0..180 {
        let lease = pool.pick(&Ask::new()).unwrap();
        assert!(
            !leases[..20]
                .iter()
                .any(|first| first.backend_id() == lease.backend_id())
        );
        leases.push(lease);
    }
    assert!(pool.pick(&Ask::new()).is_err());
    drop(leases.remove(0));
    pool.pick(&Ask::new()).unwrap();
}

/// Expects each member that it is shown to have as many failures as its backend has for a target.
struct Counting(Arc<AtomicUsize>);

impl Selector<Endpoint<u64>> for Counting {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &Endpoint<u64>) {}

    fn prepare(&self, members: &Members<'_, Endpoint<u64>, ()>) {
        let known = members.iter().filter(|at| {
            let (tally, failures) = (members.tally(*at), *members.backend(*at).target());
            assert!(tally.total() == 0 || (tally.failed, tally.succeeded) == (failures, 1));
            tally.failed > 0
        });
        self.0.store(known.count(), Relaxed);
    }

    fn select(&self, (): &(), pick: &Pick<'_, Endpoint<u64>, ()>) -> Option<At> {
        pick.any_open()
    }
}

#[test]
fn what_has_ended_is_told_of_the_members_that_are_seen() {
    let time = ManualClock::new();
    let backend = |index: u64| Endpoint::new(format!("b{index}"), 1 + index);
    let known = Arc::new(AtomicUsize::new(0));
    let selector = numbered(Counting(Arc::clone(&known)), 5);
    let builder = Pool::builder_on(time.clock()).selector(selector).seed(1);
    let (mut pool, mut driver) = builder.backends((0..20).map(backend)).build();
    for index in 0..20 {
        let mut end = |outcome| {
            let mut lease = pool
                .pick(&Ask::new().with_home(Home::new(format!("b{index}"))))
                .unwrap();
            lease.settle(outcome);
        };
        (0..=index).for_each(|_| end(Outcome::Failure));
        end(Outcome::Success);
    }
    assert_eq!(known.load(Relaxed), 0);
    // A member that leaves: the tables are made anew.
    pool.handle().remove("b19");
    assert!((&mut driver).now_or_never().is_none());
    assert_eq!(known.load(Relaxed), 5);
}

#[test]
fn while_all_of_it_are_closed_the_others_share_by_weight() {
    let inside = chosen(&mut of(numbered(RoundRobin::new(), 2), 20), 2);
    let heavy = "b7";
    assert_eq!(inside.len(), 2);
    assert!(!inside.contains_key(heavy));
    let weighted = nodes(20).map(|node| match node.id() == heavy {
        true => node.with_weight(17),
        false => node,
    });
    let selector = numbered(RoundRobin::new(), 2);
    let mut pool = Pool::builder().selector(selector).seed(1).backends(weighted).build().0;
    let mut ask = Ask::new();
    for _ in 0..2 {
        let lease = pool.pick(&ask).unwrap();
        assert!(inside.contains_key(lease.backend_id()));
        ask = ask.with_tried(lease.member());
    }
    let mut picks: HashMap<String, usize> = HashMap::new();
    for _ in 0..6_800 {
        let lease = pool.pick(&ask).unwrap();
        *picks.entry(lease.backend_id().to_owned()).or_default() += 1;
    }
    // Half goes to the heavy one, and 200 each to 17 others.
    assert_eq!(picks.len(), 18);
    for (id, picks) in picks {
        let range = if id == heavy { 3_200..=3_600 } else { 130..=270 };
        assert!(range.contains(&picks), "{id}: {picks}");
    }
}

#[test]
fn those_tried_are_passed_by_and_homes_are_reached() {
    let mut pool = of(numbered(RoundRobin::new(), 2), 100);
    let mut ask = Ask::new();
    let mut ids = HashSet::new();
    for _ in 0..100 {
        let lease = pool.pick(&ask).unwrap();
        assert!(ids.insert(lease.backend_id().to_owned()));
        ask = ask.with_tried(lease.member());
    }
    assert!(pool.pick(&ask).is_err());
    for id in ids {
        let home = Ask::new().with_home(Home::new(id.as_str()));
        assert_eq!(pool.pick(&home).unwrap().backend_id(), id);
    }
}

#[test]
fn what_is_in_flight_at_a_replaced_backend_counts() {
    let selector = numbered(LeastLoaded::new(), 2);
    let (mut pool, driver) = Pool::builder().selector(selector).seed(1).backends(nodes(100)).build();
    let first = pool.pick(&Ask::new()).unwrap();
    let mut change = pin!(pool.handle().update(Endpoint::new(first.backend_id(), ())));
    let (mut driver, mut cx) = (pin!(driver), Context::from_waker(Waker::noop()));
    assert!(driver.as_mut().poll(&mut cx).is_pending());
    assert!(change.as_mut().poll(&mut cx).is_ready());
    for _ in 0..20 {
        assert_ne!(pool.pick(&Ask::new()).unwrap().backend_id(), first.backend_id());
    }
}

/// Says itself whether it is ready.
struct Link(Node, Readiness);

impl Backend for Link {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.1)
    }
}

#[test]
fn those_that_are_not_ready_are_passed_by() {
    let links: Vec<Link> = nodes(100)
        .map(|node| Link(node, Readiness::new(Condition::Ready)))
        .collect();
    let readiness: HashMap<String, Readiness> = links
        .iter()
        .map(|link| (link.id().to_owned(), link.1.clone()))
        .collect();
    let selector = numbered(RoundRobin::new(), 2);
    let mut pool = Pool::builder().selector(selector).seed(1).backends(links).build().0;
    let mut pick = || pool.pick(&Ask::new()).unwrap().backend_id().to_owned();
    let both = [pick(), pick()];
    readiness[&both[0]].set(Condition::Waiting);
    assert!((0..20).all(|_| pick() == both[1]));
    readiness[&both[1]].set(Condition::Failing);
    assert!((0..20).all(|_| !both.contains(&pick())));
    readiness[&both[0]].set(Condition::Ready);
    assert!((0..20).all(|_| pick() == both[0]));
}

/// Closes the first `n` members in the order of joining, and asks the inner selector for another.
struct Without<S>(u32, S);

impl<B: Backend, S: Selector<B>> Selector<B> for Without<S> {
    type Memory = (u8, S::Memory);
    type Table = (Vec<At>, S::Table);

    fn memory(&self, backend: &B) -> Self::Memory {
        (7, self.1.memory(backend))
    }

    fn prepare(&self, members: &Members<'_, B, Self::Memory>) -> Self::Table {
        let closed = members.iter().take(self.0 as usize).collect();
        (
            closed,
            members.within(|memory| &memory.1, |members| self.1.prepare(members)),
        )
    }

    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, Self::Memory>) -> Option<At> {
        let is_closed = |at| table.0.contains(&at);
        pick.closing(&is_closed, |pick| {
            pick.within(|memory| &memory.1, |pick| self.1.select(&table.1, pick))
        })
    }
}

/// Remembers each member's id, and makes sure that its member is the one.
struct Remembering;

impl<B: Backend> Selector<B> for Remembering {
    type Memory = String;
    type Table = Vec<String>;

    fn memory(&self, backend: &B) -> String {
        backend.id().to_owned()
    }

    fn prepare(&self, members: &Members<'_, B, String>) -> Vec<String> {
        assert!(members.iter().all(|at| members.memory(at) == members.backend(at).id()));
        members.iter().map(|at| members.memory(at).clone()).collect()
    }

    fn select(&self, table: &Vec<String>, pick: &Pick<'_, B, String>) -> Option<At> {
        assert_eq!(pick.len(), 10);
        assert!(pick.iter().zip(table).all(|(at, id)| pick.memory(at) == id));
        pick.any_open()
    }
}

#[test]
fn what_an_outer_selector_closes_stays_closed_and_memories_are_the_members_own() {
    let mut pool = of(Without(50, numbered(Remembering, 10)), 100);
    let ids = chosen(&mut pool, 1_000);
    let index = |id: &String| id[1..].parse::<u32>().unwrap();
    assert!(ids.keys().all(|id| index(id) >= 50), "{ids:?}");
    // Some of the ten are open, and nobody else was needed.
    assert!((1..10).contains(&ids.len()), "{ids:?}");
    // An inner selector may close some of the subset in turn.
    let mut pool = of(numbered(Without(9, numbered(Random::new(), 10)), 10), 100);
    assert_eq!(chosen(&mut pool, 100).len(), 1);
}

#[test]
fn the_weights_are_those_of_the_subset() {
    // Equal within the subset, however different elsewhere: nginx's order would be another.
    let mut plain = of(numbered(RoundRobin::new(), 10), 100);
    let inside = chosen(&mut plain, 100);
    let weighted = nodes(100).enumerate().map(|(index, node)| {
        let weight = if inside.contains_key(node.id()) {
            5
        } else {
            1 + index as u32
        };
        node.with_weight(weight)
    });
    let selector = numbered(Equal, 10);
    let mut pool = Pool::builder().selector(selector).seed(1).backends(weighted).build().0;
    pool.pick(&Ask::new()).unwrap();
    let doubled = nodes(100).map(|node| {
        let weight = if inside.keys().min().unwrap() == node.id() {
            3
        } else {
            1
        };
        node.with_weight(weight)
    });
    let selector = numbered(RoundRobin::new(), 10);
    let mut pool = Pool::builder().selector(selector).seed(1).backends(doubled).build().0;
    let mut picks: Vec<usize> = chosen(&mut pool, 120).into_values().collect();
    picks.sort_unstable();
    assert_eq!(picks, [10, 10, 10, 10, 10, 10, 10, 10, 10, 30]);
}

/// Is only to be used where all weights are equal.
struct Equal;

impl<B: Backend> Selector<B> for Equal {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) {
        assert!(members.equal_weights());
        assert!(members.iter().all(|at| members.weight(at) == 5));
    }

    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        assert!(pick.iter().all(|at| pick.weight(at) == 5));
        pick.any_open()
    }
}

#[test]
fn parameters_out_of_range_are_told_with_the_range() {
    for (text, message) in [
        (
            "subset(size=0)",
            "invalid size '0' of strategy subset: expected a whole number from 1 to 1000",
        ),
        (
            "subset(size=1001)",
            "invalid size '1001' of strategy subset: expected a whole number from 1 to 1000",
        ),
        ("subset(random,random)", "invalid strategy: expected a strategy once"),
        (
            "subset(k=3)",
            "unknown parameter 'k' of strategy subset: expected a strategy, size, client",
        ),
    ] {
        assert_eq!(text.parse::<Strategy>().unwrap_err().to_string(), message);
    }
    for client in ["", "4294967296", "a b", "ä", &"n".repeat(256)] {
        let error = format!("subset(client={client})")
            .parse::<Strategy>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected process, a number from 0 to 4294967295, or a name"),
            "{error}"
        );
        assert!(Client::named(client).is_err());
    }
    assert!(Client::named("process").is_err());
    for text in [
        "subset",
        "subset(random)",
        "subset(ring(points=10),size=7,client=pod-7.local:80)",
        "subset(subset(size=3),client=4294967295)",
    ] {
        assert_eq!(text.parse::<Strategy>().unwrap().to_string(), text);
    }
    assert!(Subset::new(Random::new()).with_size(0).is_err());
    assert_eq!(Subset::new(Random::new()).with_size(1_000).unwrap().size(), 1_000);
}
