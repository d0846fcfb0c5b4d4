//! Points in their order, and the way to the first after a key.

use super::super::order::Order;
use crate::selector::{Pick, roster::At};

/// A member's place on the ring. Two halves, so that the member's position needs no filling beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    high: u32,
    low: u32,
    member: At,
}

impl Point {
    pub(super) fn new(place: u64, member: At) -> Self {
        Self {
            high: (place >> 32) as u32,
            low: place as u32,
            member,
        }
    }

    #[inline]
    fn place(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// What [`Ring`](super::Ring) prepares: 14 to 16 bytes a point, and 4 a member.
#[derive(Debug)]
pub struct RingTable {
    /// By place. After the last stands the first again, at the ring's end, so that every key has a point at or after it.
    points: Box<[Point]>,
    /// For each beginning of a place: the first point from there on.
    index: Box<[u32]>,
    /// How many bits of a place follow its beginning.
    shift: u32,
    order: Order,
}

/// How many points are gone through for an open member before the members are, in their order. Many may belong to one
/// member, if it is heavy.
const STEPS: usize = 256;

impl RingTable {
    /// `points` in any order; of two at one place the first one given counts.
    pub(super) fn new(mut points: Vec<Point>, order: Order) -> Self {
        points.sort_by_key(|point| point.place());
        points.dedup_by_key(|point| point.place());
        // One or two points to a beginning, and at least one bit.
        let bits = points.len().checked_ilog2().unwrap_or(0).max(1);
        let shift = u64::BITS - bits;
        let mut index = Vec::with_capacity(1 << bits);
        for (number, point) in (0..).zip(&points) {
            let beginning = (point.place() >> shift) as usize;
            // Also for the beginnings before it that have none.
            if index.len() <= beginning {
                index.resize(beginning + 1, number);
            }
        }
        index.resize(1 << bits, points.len() as u32);
        let end = points.first().map(|first| Point::new(u64::MAX, first.member));
        points.extend(end);
        Self {
            points: points.into(),
            index: index.into(),
            shift,
            order,
        }
    }

    /// The number of the first point at or after a place.
    #[inline]
    pub(super) fn first(&self, place: u64) -> usize {
        let from = self.index[(place >> self.shift) as usize] as usize;
        let after = self.points.get(from..).unwrap_or_default();
        from + after.iter().take_while(|point| point.place() < place).count()
    }

    /// Whose a point is; none where there are no points, as no member is due one.
    #[inline]
    pub(super) fn member(&self, number: usize) -> Option<At> {
        self.points.get(number).map(|point| point.member)
    }

    /// An open member: whose a point is, or one of those that follow.
    #[cold]
    #[inline(never)]
    pub(super) fn search<B, M>(&self, from: usize, key: u64, pick: &Pick<'_, B, M>) -> Option<At> {
        let (before, after) = self.points.split_at(from);
        let mut members = after.iter().chain(before).map(|point| point.member).take(STEPS);
        members
            .find(|member| pick.is_open(*member))
            .or_else(|| self.order.next_open(key, pick))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::selector::Generator;

    fn table(points: &[(u64, u32)]) -> RingTable {
        let points = points.iter().map(|(place, member)| Point::new(*place, At(*member)));
        RingTable::new(points.collect(), Order::default())
    }

    #[test]
    fn the_first_point_is_found_and_of_two_at_one_place_the_one_given_first() {
        let mut random = Generator::new(2);
        for count in [1, 2, 3, 4, 5, 63, 64, 65, 1_000] {
            // Of all sizes, so that some beginnings have many points and most have none.
            let place = |random: &mut Generator| random.next() >> random.below(64);
            let mut points: Vec<_> = (0..count).map(|member| (place(&mut random), member)).collect();
            points.extend([
                (0, count),
                (u64::MAX, count + 1),
                (points[0].0, count + 2),
                (0, count + 3),
            ]);
            let table = table(&points);
            for key in (0..1_000)
                .map(|_| place(&mut random))
                .chain(points.iter().map(|point| point.0))
            {
                let after = points.iter().filter(|point| point.0 >= key);
                let first = after.min_by_key(|point| point.0).unwrap();
                assert_eq!(table.member(table.first(key)), Some(At(first.1)), "{key} of {points:?}");
            }
        }
    }

    #[test]
    fn after_the_last_point_comes_the_first() {
        let one = table(&[(7, 3)]);
        assert_eq!(
            [0, 7, 8, u64::MAX].map(|key| one.member(one.first(key))),
            [Some(At(3)); 4]
        );
        let none = table(&[]);
        assert_eq!(none.member(none.first(u64::MAX)), None);
    }
}
