//! Choices, from bytes.

use super::model::Node;

/// Bytes that are used up one by one.
pub(super) struct Input<'a>(std::slice::Iter<'a, u8>);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.0.next().copied()
    }

    /// A number below `bound`, which is from 1 to 256.
    pub(super) fn below(&mut self, bound: usize) -> Option<usize> {
        self.byte().map(|byte| usize::from(byte) % bound)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.byte().map(|byte| byte & 1 == 1)
    }

    /// One of few, so that the same come again and again.
    pub(super) fn id(&mut self) -> Option<String> {
        self.below(6).map(|index| format!("n{index}"))
    }

    pub(super) fn node(&mut self) -> Option<Node> {
        let id = self.id()?;
        let (weight, limit) = (self.byte()?, self.byte()?);
        Some(Node {
            id,
            weight: [1, 1, 1, 0, 2, 3, 1_000, u32::MAX][usize::from(weight % 8)],
            priority: [0, 0, 1, 2][usize::from(weight >> 3) % 4],
            limit: [None, Some(1), Some(2), Some(0)][usize::from(limit % 4)],
        })
    }
}
