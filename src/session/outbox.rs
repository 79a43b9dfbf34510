//! What a connection owes its peer and the kernel has not taken.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Bytes queued for one connection, in order. An empty one owns no memory, and is one word.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Option<Box<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whole buffers: large frames, shared between the subscribers of a topic.
    chunks: VecDeque<Bytes>,
    /// Small frames behind them.
    tail: BytesMut,
    len: usize,
}

/// How many pieces one write takes along.
pub const SLICES: usize = 16;

impl Outbox {
    /// Bytes queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.len)
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    /// Queues a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(queue) = self.grow(bytes.len()) {
            queue.tail.extend_from_slice(bytes);
        }
    }

    /// Queues a buffer without copying it.
    pub fn push_shared(&mut self, bytes: Bytes) {
        if let Some(queue) = self.grow(bytes.len()) {
            if !queue.tail.is_empty() {
                queue.chunks.push_back(queue.tail.split().freeze());
            }
            queue.chunks.push_back(bytes);
        }
    }

    /// Puts the rest of a frame whose beginning is already on the wire in front of everything.
    pub fn push_front(&mut self, rest: Bytes) {
        if let Some(queue) = self.grow(rest.len()) {
            queue.chunks.push_front(rest);
        }
    }

    /// The queue, for `n` more bytes; `None` if that is none.
    fn grow(&mut self, n: usize) -> Option<&mut Queue> {
        if n == 0 {
            return None;
        }
        let queue = self.queue.get_or_insert_default();
        queue.len += n;
        Some(queue)
    }

    /// The pieces at the front, for a vectored write. Returns how many were filled in.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let Some(queue) = &self.queue else { return 0 };
        let pieces = queue.chunks.iter().map(|chunk| &chunk[..]);
        let pieces = pieces.chain([&queue.tail[..]]);
        let mut filled = 0;
        for (slot, piece) in into
            .iter_mut()
            .zip(pieces.filter(|piece| !piece.is_empty()))
        {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Forgets the first `n` bytes: the kernel took them.
    pub fn advance(&mut self, mut n: usize) {
        let Some(queue) = &mut self.queue else { return };
        queue.len -= n;
        while n > 0 {
            let Some(front) = queue.chunks.front_mut() else {
                queue.tail.advance(n);
                break;
            };
            let step = n.min(front.len());
            front.advance(step);
            n -= step;
            if front.is_empty() {
                queue.chunks.pop_front();
            }
        }
        if queue.len == 0 {
            self.queue = None;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.queue = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let n = outbox.slices(&mut slices);
        slices[..n].iter().flat_map(|s| s.to_vec()).collect()
    }

    #[test]
    fn order_is_the_order_of_pushes_with_the_rest_of_a_frame_first() {
        let mut outbox = Outbox::default();
        outbox.push(b"ab");
        outbox.push_shared(Bytes::from_static(b"CDE"));
        outbox.push(b"fg");
        outbox.push_front(Bytes::from_static(b"--"));
        assert_eq!(outbox.len(), 9);
        assert_eq!(contents(&outbox), b"--abCDEfg");
    }

    #[test]
    fn advancing_by_any_split_leaves_the_rest() {
        for cut in 0..=7 {
            let mut outbox = Outbox::default();
            outbox.push(b"ab");
            outbox.push_shared(Bytes::from_static(b"CDE"));
            outbox.push(b"fg");
            outbox.advance(cut);
            assert_eq!(contents(&outbox), &b"abCDEfg"[cut..]);
            assert_eq!(outbox.len(), 7 - cut);
        }
    }
}
