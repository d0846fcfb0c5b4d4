//! The beginning of a body, kept in a bounded buffer.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// What is kept of a body.
///
/// Parts are copied into blocks, each as large as all before it, and never moved afterwards: what is given out are slices
/// of them. The blocks together are never larger than the limit.
pub(super) struct Kept {
    blocks: VecDeque<Bytes>,
    /// The block that is being filled.
    tail: BytesMut,
    from: u64,
    end: u64,
}

/// The least that a block is made for, in bytes: parts of a few bytes are many.
const LEAST: usize = 1024;

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            blocks: VecDeque::new(),
            tail: BytesMut::new(),
            from: 0,
            end: 0,
        }
    }

    /// Where the first byte that is kept was in the content.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// How much was read in all.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether so many bytes more can be kept.
    pub(super) fn fits(&self, length: usize, limit: usize) -> bool {
        limit.checked_sub(self.held()).is_some_and(|room| length <= room)
    }

    /// How many bytes of content there are.
    pub(super) fn held(&self) -> usize {
        (self.end - self.from) as usize
    }

    /// Keeps what [fits](Self::fits).
    pub(super) fn push(&mut self, mut data: &[u8], limit: usize) {
        while !data.is_empty() {
            let room = self.tail.capacity() - self.tail.len();
            if room == 0 {
                let held = self.held();
                let size = held.max(LEAST).max(data.len()).min(limit - held);
                let full = std::mem::replace(&mut self.tail, BytesMut::with_capacity(size));
                if !full.is_empty() {
                    self.blocks.push_back(full.freeze());
                }
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            self.tail.extend_from_slice(now);
            self.end += now.len() as u64;
            data = later;
        }
    }

    /// Notes that so many bytes were read, and keeps neither them nor what was before.
    pub(super) fn pass(&mut self, length: u64) {
        self.end += length;
        self.clear();
    }

    /// As much as there is in one piece from here on, which is kept.
    pub(super) fn slice(&mut self, at: u64) -> Bytes {
        let mut from = self.from;
        for block in &self.blocks {
            let end = from + block.len() as u64;
            if at < end {
                return block.slice((at - from) as usize..);
            }
            from = end;
        }
        // What is given out can't grow any more; what is left of the block's room still can.
        let block = self.tail.split().freeze();
        let slice = block.slice((at - from) as usize..);
        self.blocks.push_back(block);
        slice
    }

    /// Lets go of what is before this place, as far as whole blocks are.
    pub(super) fn let_go(&mut self, at: u64) {
        if at >= self.end {
            return self.clear();
        }
        while let Some(block) = self.blocks.front() {
            let end = self.from + block.len() as u64;
            if at < end {
                break;
            }
            self.from = end;
            self.blocks.pop_front();
        }
    }

    fn clear(&mut self) {
        self.from = self.end;
        self.blocks = VecDeque::new();
        self.tail = BytesMut::new();
    }

    /// The memory that it takes, in bytes.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.blocks.iter().map(Bytes::len).sum::<usize>() + self.tail.capacity()
    }
}
