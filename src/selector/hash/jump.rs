//! Jump consistent hash.

use super::choose;
use crate::{
    backend::Backend,
    needs::Needs,
    selector::{AnySelector, Members, Pick, Selector, roster::At, strategy::named::Named},
};

/// Each request goes to the member whose number the key jumps to: jump consistent hash (Lamping and Veach, "A fast,
/// minimal memory, consistent hash algorithm", [arXiv:1406.2294](https://arxiv.org/abs/1406.2294), §3). O(log members),
/// no memory.
///
/// Weights are ignored: all members that have one get the same share, but for chance.
///
/// The numbers are the order in which members joined the pool, those left out that have no weight, drain, or are backups
/// at rest. So the least moves (what the new member gets, or the lost one had) only if the last to join is the one to
/// leave; if one leaves in the middle, all after it change their numbers, and most keys move. Replicas agree only if
/// their members joined in the same order: a source of members that names them in an order of its own, such as a sorted
/// list, does. While a member is closed without leaving, its own keys alone move, evenly to all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Jump;

impl Jump {
    /// Jump consistent hash.
    pub fn new() -> Self {
        Self
    }
}

impl Named for Jump {
    const NAME: &'static str = "jump";
    const SUMMARY: &'static str = "by key, for numbered members of which only the last leaves; weights are ignored";

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

/// The paper's figure 1: which of `buckets`, at least one.
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // At most 2³² × 2³¹, in a double as in the paper.
        next = ((bucket + 1) as f64 * (2_147_483_648.0 / ((key >> 33) + 1) as f64)) as u64;
    }
    bucket as u32
}

impl<B: Backend> Selector<B> for Jump {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &B) {}

    fn needs(&self) -> Needs {
        Needs::nothing().keys()
    }

    fn prepare(&self, _: &Members<'_, B, ()>) {}

    #[inline]
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        let buckets = pick.len() as u32;
        let at = |key| (buckets > 0).then(|| At(jump(key, buckets)));
        choose(pick, at, |key| pick.next_open(at(!key)?))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// google/guava, android/guava-tests/test/com/google/common/hash/HashingTest.java, method
    /// `testConsistentHash_linearCongruentialGeneratorCompatibility`.
    #[test]
    fn buckets_are_guava_s() {
        let golden = [
            0, 55, 62, 8, 45, 59, 86, 97, 82, 59, 73, 37, 17, 56, 86, 21, 90, 37, 38, 83,
        ];
        for (key, bucket) in (0..).zip(golden) {
            assert_eq!(jump(key, 100), bucket, "{key}");
        }
        for (bucket, key, buckets) in [
            (6, 10_863_919_174_838_991, 11),
            (3, 2_016_238_256_797_177_309, 11),
            (5, 1_673_758_223_894_951_030, 11),
            (80_343, 2, 100_001),
            (22_152, 2_201, 100_001),
            (15_018, 2_202, 100_001),
        ] {
            assert_eq!(jump(key, buckets), bucket, "{key}");
        }
    }

    /// dgryski/go-jump, jump_test.go, function `TestHash`: "generated from the reference C++ code".
    #[test]
    fn buckets_are_the_reference_s() {
        for (key, found) in [
            (0, [0; 19]),
            (1, [0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 17, 17]),
            (
                0xdead_beef,
                [0, 1, 2, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 16, 16, 16],
            ),
            (
                0x0ddc_0ffe_ebad_f00d,
                [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 15, 15, 15, 15],
            ),
        ] {
            for (buckets, bucket) in (1..).zip(found) {
                assert_eq!(jump(key, buckets), bucket, "{key} of {buckets}");
            }
        }
    }
}
