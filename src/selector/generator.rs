//! Random numbers for picks.

/// The random generator that each clone of a pool owns: SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014). It is one word, as it is carried through every pick, and each number
/// is made of a counter, so that many are made at once; none of rand's generators is either.
#[derive(Clone, Copy, Debug)]
pub struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator far from this one's sequence: neighbouring seeds then do not give neighbouring numbers.
    pub(crate) fn split(mut self) -> Self {
        Self(self.next() ^ self.next().rotate_left(32))
    }

    /// 64 random bits.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that never ends is more than this is"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random number below `bound`, which must not be 0: Lemire's multiplication (<https://arxiv.org/abs/1805.10941>)
    /// without the rejection, so off by at most `bound` in 2⁶⁴.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
