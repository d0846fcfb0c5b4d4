//! What a pool should be, in the plainest terms.

use std::collections::BTreeMap;

use equipoise::{Ask, Backend, ErrorKind, Member, MemberId, Outcome, Tally};

/// A backend with everything that a pool looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) weight: u32,
    pub(super) priority: u8,
    pub(super) limit: Option<u32>,
}

impl Backend for Node {
    fn id(&self) -> &str {
        &self.id
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn priority(&self) -> u8 {
        self.priority
    }
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Insert(Node),
    Update(Node),
    Remove(String),
    Drain(String),
    Undrain(String),
}

/// One id's time as a member, from joining to leaving: an index into all that there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stint(usize);

#[derive(Clone, Debug)]
pub(super) struct Seat {
    node: Node,
    draining: bool,
    stint: Stint,
}

#[derive(Default)]
struct Count {
    /// Known from the first pick on.
    member: Option<MemberId>,
    in_flight: usize,
    tally: Tally,
}

#[derive(Debug)]
pub(super) enum Verdict {
    /// One of these has to be picked.
    OneOf(Vec<String>),
    /// Nobody can be, and this is why.
    Refused(ErrorKind),
}

type Seats = BTreeMap<String, Seat>;

#[derive(Default)]
pub(super) struct Model {
    /// With all changes that are on their way.
    coming: Seats,
    /// As the last publish left it.
    published: Seats,
    counts: Vec<Count>,
}

impl Model {
    /// Whether there was anything to do.
    pub(super) fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Insert(node) => match self.coming.get_mut(&node.id) {
                Some(seat) => {
                    seat.node = node;
                    false
                }
                None => {
                    let stint = Stint(self.counts.len());
                    self.counts.push(Count::default());
                    let draining = false;
                    self.coming.insert(node.id.clone(), Seat { node, draining, stint });
                    true
                }
            },
            Change::Update(node) => match self.coming.get_mut(&node.id) {
                Some(seat) => {
                    seat.node = node;
                    true
                }
                None => false,
            },
            Change::Remove(id) => self.coming.remove(&id).is_some(),
            Change::Drain(id) => match self.coming.get_mut(&id) {
                Some(seat) => {
                    seat.draining = true;
                    true
                }
                None => false,
            },
            Change::Undrain(id) => match self.coming.get_mut(&id) {
                Some(seat) => std::mem::take(&mut seat.draining),
                None => false,
            },
        }
    }

    pub(super) fn publish(&mut self) {
        self.published.clone_from(&self.coming);
    }

    pub(super) fn published(&self) -> &Seats {
        &self.published
    }

    fn serves(seat: &Seat) -> bool {
        seat.node.weight > 0 && !seat.draining
    }

    /// Those to whom new requests go, full or not.
    fn open(&self) -> impl Iterator<Item = &Seat> {
        let serving = || self.published.values().filter(|seat| Self::serves(seat));
        let priority = serving().map(|seat| seat.node.priority).min();
        serving().filter(move |seat| Some(seat.node.priority) == priority)
    }

    fn is_tried(&self, seat: &Seat, ask: &Ask) -> bool {
        self.counts[seat.stint.0]
            .member
            .is_some_and(|member| ask.tried().contains(&member))
    }

    fn has_room(&self, seat: &Seat) -> bool {
        let limit = seat.node.limit.map_or(usize::MAX, |limit| limit as usize);
        self.counts[seat.stint.0].in_flight < limit
    }

    /// What a pick has to come to.
    pub(super) fn verdict(&self, ask: &Ask) -> Verdict {
        let home = ask.home().and_then(|home| self.published.get(home.id()));
        if let Some(seat) = home.filter(|seat| self.has_room(seat) && !self.is_tried(seat, ask)) {
            return Verdict::OneOf(vec![seat.node.id.clone()]);
        }
        let fresh = || self.open().filter(|seat| !self.is_tried(seat, ask));
        let ids: Vec<String> = (fresh().filter(|seat| self.has_room(seat)))
            .map(|seat| seat.node.id.clone())
            .collect();
        if !ids.is_empty() {
            Verdict::OneOf(ids)
        } else if fresh().next().is_some() {
            Verdict::Refused(ErrorKind::Overloaded)
        } else {
            Verdict::Refused(ErrorKind::Unavailable)
        }
    }

    /// A request goes to a member.
    pub(super) fn hold(&mut self, id: &str, member: MemberId) -> Stint {
        let stint = self.published[id].stint;
        let count = &mut self.counts[stint.0];
        assert_eq!(
            *count.member.get_or_insert(member),
            member,
            "'{id}' is one member while it stays"
        );
        count.in_flight += 1;
        stint
    }

    /// It has ended, and may still be held.
    pub(super) fn ended(&mut self, stint: Stint, outcome: Outcome) {
        let tally = &mut self.counts[stint.0].tally;
        *match outcome {
            Outcome::Success => &mut tally.succeeded,
            Outcome::Failure | Outcome::BadGateway | Outcome::Unreachable => &mut tally.failed,
            Outcome::Cancelled => &mut tally.cancelled,
            Outcome::Broken => &mut tally.broken,
        } += 1;
    }

    pub(super) fn release(&mut self, stint: Stint) {
        self.counts[stint.0].in_flight -= 1;
    }

    /// The pool tells of a member what is so.
    pub(super) fn check(&self, member: &Member<Node>) {
        let id = &member.backend.id;
        let seat = self
            .published
            .get(id)
            .unwrap_or_else(|| panic!("'{id}' is no member any more"));
        let count = &self.counts[seat.stint.0];
        assert_eq!(*member.backend, seat.node);
        assert_eq!(member.in_flight, count.in_flight, "requests in flight at '{id}'");
        assert_eq!(member.tally, count.tally, "ended requests of '{id}'");
        assert_eq!(member.draining, seat.draining, "whether '{id}' drains");
        let is_open = self.open().any(|open| open.node.id == *id);
        assert_eq!(member.open, is_open, "whether '{id}' is open");
    }
}
