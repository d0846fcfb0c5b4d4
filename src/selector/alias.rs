//! Walker's alias table: a member by weight in constant time (Vose, "A linear algorithm for generating random numbers
//! with a given distribution", IEEE TSE 17 (9), 1991).

use std::array::from_fn;

use super::{members::Members, pick::Pick, roster::At};

/// Draws members by weight, each off by at most 2⁻³² of one column's share. 8 bytes a member.
#[derive(Debug)]
pub(super) struct Alias(Box<[Column]>);

/// A column belongs to its own member below `own`, in 2⁻³², and to `other` from there on.
#[derive(Clone, Copy, Debug)]
struct Column {
    own: u32,
    other: u32,
}

impl Alias {
    /// O(members).
    pub(super) fn new<B, M>(members: &Members<'_, B, M>) -> Self {
        let count = members.len() as u128;
        // A column holds `total`; a member brings `weight × count`: whole numbers, so nothing drifts.
        let total: u128 = members.iter().map(|at| u128::from(members.weight(at))).sum();
        let mut shares: Vec<u128> = members
            .iter()
            .map(|at| u128::from(members.weight(at)) * count)
            .collect();
        let mut columns: Vec<Column> = (0..shares.len() as u32)
            .map(|other| Column { own: u32::MAX, other })
            .collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..shares.len()).partition(|index| shares[*index] < total);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            columns[poor] = Column {
                own: ((shares[poor] << 32) / total) as u32,
                other: rich as u32,
            };
            shares[rich] -= total - shares[poor];
            if shares[rich] < total {
                large.pop();
                small.push(rich);
            }
        }
        Self(columns.into())
    }

    /// One of the members this was made of, which must not be empty, by 64 random bits.
    #[inline]
    pub(super) fn at(&self, random: u64) -> At {
        let product = u128::from(random) * self.0.len() as u128;
        let index = (product >> 64) as u32;
        let column = self.0[index as usize];
        // The fraction within the column is as good as new: 64 bits less those of the index.
        let is_own = (product as u64 >> 32) as u32 <= column.own;
        At(if is_own { index } else { column.other })
    }

    pub(super) fn draw<B, M>(&self, pick: &Pick<'_, B, M>) -> At {
        self.at(pick.random())
    }

    /// `d` different members, at most `D`, drawn by weight; who is drawn again is drawn anew, up to a bound, as where few
    /// members have nearly all the weight there may be fewer than `d`. What is missing is out of range.
    #[inline(always)]
    pub(super) fn distinct<const D: usize, B, M>(&self, d: usize, pick: &Pick<'_, B, M>) -> [At; D] {
        // As a rule the first are different.
        let mut drawn: [At; D] = pick.with_random(|random| from_fn(|_| self.at(random.next())));
        let is_known = |drawn: &[At; D], order: usize| drawn[..order].contains(&drawn[order]);
        if (1..d).any(|order| is_known(&drawn, order)) {
            let mut left = 3 * d;
            for order in 1..d {
                while is_known(&drawn, order) {
                    drawn[order] = if left == 0 { At(u32::MAX) } else { self.draw(pick) };
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
            }
        }
        drawn
    }
}
