//! Where keys go: how evenly, how many of them move when a member leaves or comes, and how long it takes, beside other
//! crates and beside the optimum.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench placement`. A few minutes.
//!
//! The optimum of evenness is what chance leaves of it: as many keys thrown at as many members. The optimum of a
//! removal is that the keys of the member that left move and no others, that of an addition that keys move to the
//! member that came and nowhere else: what is told are the keys that moved beyond that.

use std::{
    hint::black_box,
    rc::Rc,
    time::{Duration, Instant},
};

use equipoise::{Ask, Endpoint, Pool, Strategy};
use hrw_hash::HrwNodes;

/// Who is there.
#[derive(Clone, Copy)]
enum Members {
    All(u32),
    /// One of so many has left.
    Without(u32, u32),
    /// One more than so many.
    With(u32),
}

impl Members {
    fn ids(self) -> Vec<u32> {
        match self {
            Self::All(count) => (0..count).collect(),
            Self::Without(count, gone) => (0..count).filter(|id| *id != gone).collect(),
            Self::With(count) => (0..=count).collect(),
        }
    }
}

/// From a key to a member.
struct Place {
    /// Its id.
    id: Box<dyn FnMut(u64) -> u32>,
    /// The choice alone, to be timed: ours has no numbers for members, and to read one out of an id takes longer.
    alone: Box<dyn FnMut(u64)>,
}

impl Place {
    /// One whose choice is the id.
    fn new(place: impl FnMut(u64) -> u32 + Clone + 'static) -> Self {
        let mut alone = place.clone();
        Self {
            id: Box::new(place),
            alone: Box::new(move |key| {
                black_box(alone(key));
            }),
        }
    }
}

struct Scheme {
    name: String,
    make: Box<dyn Fn(Members) -> Place>,
    /// Only the last member can leave.
    only_last: bool,
}

impl Scheme {
    fn new(name: &str, make: impl Fn(Members) -> Place + 'static) -> Self {
        Self {
            name: name.to_owned(),
            make: Box::new(make),
            only_last: false,
        }
    }

    fn only_last(mut self) -> Self {
        self.only_last = true;
        self
    }
}

const PREFIX: &str = "cache.example:";

fn ours(text: &'static str) -> Scheme {
    let strategy: Strategy = text.parse().expect("a strategy");
    Scheme::new(text, move |members| {
        let backends = members
            .ids()
            .into_iter()
            .map(|id| Endpoint::new(format!("{PREFIX}{id}"), ()));
        // Without its driver the pool serves on, and nothing else runs.
        let mut pool = Pool::builder()
            .selector(strategy.selector())
            .backends(backends)
            .build()
            .0;
        let mut alone = pool.clone();
        Place {
            id: Box::new(move |key| {
                let at = pool.select(&Ask::new().with_key(key)).expect("there are members");
                let id = pool.id_at(at).expect("a member's position");
                id[PREFIX.len()..].parse().expect("an id with its number")
            }),
            alone: Box::new(move |key| {
                black_box(alone.select(&Ask::new().with_key(key)));
            }),
        }
    })
}

/// Points that each member of a `hashring` has, as most rings have.
const POINTS: u32 = 160;

fn peers() -> Vec<Scheme> {
    vec![
        Scheme::new("hashring, 160 points", |members| {
            let mut ring = hashring::HashRing::new();
            ring.batch_add(
                (members.ids().into_iter())
                    .flat_map(|id| (0..POINTS).map(move |point| (id, point)))
                    .collect(),
            );
            let ring = Rc::new(ring);
            Place::new(move |key| ring.get(&key).expect("a ring with points").0)
        }),
        Scheme::new("maglev, 65,537", |members| {
            use maglev::ConsistentHasher;
            let table = Rc::new(maglev::Maglev::with_capacity(members.ids(), 65_537));
            Place::new(move |key| *table.get(&key).expect("a table with members"))
        }),
        Scheme::new("hrw-hash", |members| {
            let nodes: Rc<HrwNodes<u32>> = Rc::new(HrwNodes::new(members.ids()));
            Place::new(move |key| *nodes.sorted(&key).next().expect("nodes"))
        }),
        Scheme::new("anchorhash", |members| {
            let (Members::All(count) | Members::Without(count, _) | Members::With(count)) = members;
            let capacity = u16::try_from(2 * count).unwrap_or(u16::MAX);
            let builder = anchorhash::Builder::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
            let mut anchor = builder.with_resources(0..count).build::<u64>(capacity);
            match members {
                Members::All(_) => {}
                Members::Without(_, gone) => anchor.remove_resource(&gone).expect("a resource"),
                Members::With(count) => anchor.add_resource(count).expect("room for one more"),
            }
            let anchor = Rc::new(anchor);
            Place::new(move |key| *anchor.get_resource(key).expect("a resource"))
        }),
        Scheme::new("fliphash", |members| {
            let last = members.ids().len() as u64 - 1;
            Place::new(move |key| fliphash::fliphash_64(key, ..=last) as u32)
        })
        .only_last(),
    ]
}

/// Keys as they come from a hash function (SplitMix64).
fn key(index: u64) -> u64 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The most loaded over the mean.
fn peak(places: &[u32], members: u32) -> f64 {
    let mut counts = vec![0_u32; members as usize];
    for place in places {
        counts[*place as usize] += 1;
    }
    let most = counts.into_iter().max().unwrap_or(0);
    f64::from(most) * f64::from(members) / places.len() as f64
}

/// How many keys moved, in percent, that need not have.
fn beyond(before: &[u32], after: &[u32], may_move: impl Fn(u32, u32) -> bool) -> f64 {
    let moved = before.iter().zip(after).filter(|(from, to)| from != to);
    let needless = moved.filter(|(from, to)| !may_move(**from, **to)).count();
    100.0 * needless as f64 / before.len() as f64
}

/// The longest that one placing of all keys may take.
const LONGEST: Duration = Duration::from_secs(20);

fn row(scheme: &Scheme, members: u32) {
    let start = Instant::now();
    let mut place = (scheme.make)(Members::All(members));
    let build = start.elapsed();
    // A warm-up that tells how long the rest will take.
    let keys = 100_000.max(u64::from(members) * 100);
    let mut timed = |keys| {
        let start = Instant::now();
        (0..keys).for_each(|index| (place.alone)(key(index)));
        start.elapsed().as_secs_f64() / keys as f64
    };
    let named = format!("{:<28}{members:>8}{:>12.2}", scheme.name, build.as_secs_f64() * 1e3);
    let each = timed(200);
    if each * keys as f64 > LONGEST.as_secs_f64() {
        println!("{named}{:>10.0}   (too slow for {keys} keys)", each * 1e9);
        return;
    }
    let each = timed(keys) * 1e9;
    let places = |mut place: Place| -> Vec<u32> { (0..keys).map(|index| (place.id)(key(index))).collect() };
    let all = places(place);
    let gone = if scheme.only_last { members - 1 } else { members / 2 };
    let without = places((scheme.make)(Members::Without(members, gone)));
    let with = places((scheme.make)(Members::With(members)));
    println!(
        "{named}{each:>10.0}{:>12.3}{:>13.3}{:>13.3}",
        peak(&all, members),
        beyond(&all, &without, |from, _| from == gone),
        beyond(&all, &with, |_, to| to == members),
    );
}

fn main() {
    // Asked for a listing or a trial, there is nothing to list and nothing short to try.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    let ours = [
        ours("ip_hash"),
        ours("jump").only_last(),
        ours("maglev"),
        ours("rendezvous"),
        ours("ring"),
        ours("ring(mode=nginx)"),
        ours("ring(mode=envoy)"),
    ];
    let schemes: Vec<Scheme> = ours.into_iter().chain(peers()).collect();
    println!(
        "{:<28}{:>8}{:>12}{:>10}{:>12}{:>13}{:>13}",
        "", "members", "build, ms", "ns a key", "peak/mean", "removal, %", "addition, %"
    );
    for members in [10_u32, 100, 1_000, 10_000] {
        let keys = 100_000.max(u64::from(members) * 100);
        let chance: Vec<u32> = (0..keys)
            .map(|index| ((u128::from(key(index ^ 0x5eed)) * u128::from(members)) >> 64) as u32)
            .collect();
        println!(
            "{:<28}{members:>8}{:>34.3}{:>13.3}{:>13.3}",
            "optimum",
            peak(&chance, members),
            0.0,
            0.0
        );
        schemes.iter().for_each(|scheme| row(scheme, members));
    }
}
