//! Writing: what one round of commands (or of reading) wants on the wire is collected first, as ranges of shared buffers,
//! then each connection gets one write.
//!
//! A range names one of the round's buffers: the batch of commands, the bytes made here (pongs, close frames), or a large
//! frame. Ranges of one connection form a list; neighbours merge. What the kernel does not take is copied (or, for large
//! frames, shared) into the connection's outbox, and the buffers are free again when the round is over.

use crate::hub::connection::{Connection, NONE, Output, Phase};
use crate::session::outbox::SLICES;
use crate::session::shared::Turn;
use bytes::Bytes;
use std::io::{self, IoSlice};

/// Where a range's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the batch of commands being applied.
    Batch,
    /// In [`Round::local`].
    Local,
    /// All of a large frame.
    Large(u32),
}

#[derive(Clone, Copy, Debug)]
struct Node {
    source: Source,
    start: u32,
    len: u32,
    next: u32,
}

/// What is to be written in this round.
#[derive(Debug, Default)]
pub struct Round {
    nodes: Vec<Node>,
    large: Vec<Bytes>,
    /// Frames made by the I/O thread itself.
    pub local: Vec<u8>,
    /// Connections with something to write, or to finish.
    pub dirty: Vec<u32>,
}

/// Below this many bytes, several ranges are copied together for one plain write.
const GATHER: usize = 16 << 10;

impl Round {
    /// Wants a range written to a connection. `batch` is the batch it may be a range of.
    pub fn add(
        &mut self,
        slot: u32,
        out: &mut Output,
        source: Source,
        start: u32,
        len: u32,
        batch: &[u8],
    ) {
        if !out.outbox.is_empty() {
            match source {
                Source::Large(index) => out.outbox.push_shared(self.large[index as usize].clone()),
                _ => out.outbox.push(self.bytes(source, start, len, batch)),
            }
            return;
        }
        if out.tail == NONE {
            self.dirty.push(slot);
        } else {
            let tail = &mut self.nodes[out.tail as usize];
            if tail.source == source
                && tail.start + tail.len == start
                && !matches!(source, Source::Large(_))
            {
                tail.len += len;
                return;
            }
        }
        let index = self.nodes.len() as u32;
        self.nodes.push(Node {
            source,
            start,
            len,
            next: NONE,
        });
        if out.tail == NONE {
            out.head = index;
        } else {
            self.nodes[out.tail as usize].next = index;
        }
        out.tail = index;
    }

    /// Keeps a large frame for the round; name it by [`Source::Large`].
    pub fn keep(&mut self, frame: Bytes) -> u32 {
        self.large.push(frame);
        self.large.len() as u32 - 1
    }

    /// The round is over.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.large.clear();
        self.local.clear();
        if self.local.capacity() > 1 << 20 {
            self.local = Vec::new();
        }
        if self.nodes.capacity() > 1 << 16 {
            self.nodes = Vec::new();
        }
    }

    fn bytes<'a>(&'a self, source: Source, start: u32, len: u32, batch: &'a [u8]) -> &'a [u8] {
        let range = start as usize..(start + len) as usize;
        match source {
            Source::Batch => &batch[range],
            Source::Local => &self.local[range],
            Source::Large(index) => &self.large[index as usize],
        }
    }

    /// Writes what a connection has in this round; what the kernel refuses goes into the outbox.
    ///
    /// # Errors
    /// The transport's, when the peer is gone. Nothing is queued then.
    pub fn write(
        &self,
        connection: &mut Connection,
        batch: &[u8],
        gather: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Connection {
            out, shared, phase, ..
        } = connection;
        let head = std::mem::replace(&mut out.head, NONE);
        out.tail = NONE;
        if head == NONE {
            return Ok(());
        }
        let mut turn = shared.writer();
        if *turn != Turn::Free && !is_http(phase) || !out.outbox.is_empty() {
            self.queue(head, 0, out, batch);
            return Ok(());
        }
        let first = self.nodes[head as usize];
        let (written, total) = if first.next == NONE {
            let bytes = self.bytes(first.source, first.start, first.len, batch);
            (
                would_block(shared.transport().try_write(bytes))?,
                bytes.len(),
            )
        } else {
            self.write_many(head, shared.transport(), batch, gather)?
        };
        out.settled += written as i64;
        if written < total {
            *turn = Turn::Queue;
            self.queue(head, written, out, batch);
        }
        Ok(())
    }

    fn write_many(
        &self,
        head: u32,
        transport: &crate::session::Transport,
        batch: &[u8],
        gather: &mut Vec<u8>,
    ) -> io::Result<(usize, usize)> {
        let total: usize = self.iter(head).map(|node| self.len(node)).sum();
        if total <= GATHER {
            gather.clear();
            for node in self.iter(head) {
                gather.extend_from_slice(self.bytes(node.source, node.start, node.len, batch));
            }
            return Ok((would_block(transport.try_write(gather))?, total));
        }
        let mut written = 0;
        let mut nodes = self.iter(head).peekable();
        while nodes.peek().is_some() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut want = 0;
            let mut filled = 0;
            for (slice, node) in slices.iter_mut().zip(nodes.by_ref()) {
                let bytes = self.bytes(node.source, node.start, node.len, batch);
                want += bytes.len();
                *slice = IoSlice::new(bytes);
                filled += 1;
            }
            let n = would_block(transport.try_write_vectored(&slices[..filled]))?;
            written += n;
            if n < want {
                break;
            }
        }
        Ok((written, total))
    }

    /// Queues a list but for its first `skip` bytes.
    fn queue(&self, head: u32, mut skip: usize, out: &mut Output, batch: &[u8]) {
        for node in self.iter(head) {
            let len = self.len(node);
            if skip >= len {
                skip -= len;
                continue;
            }
            if let Source::Large(index) = node.source {
                out.outbox
                    .push_shared(self.large[index as usize].slice(skip..));
            } else {
                out.outbox
                    .push(&self.bytes(node.source, node.start, node.len, batch)[skip..]);
            }
            skip = 0;
        }
    }

    fn len(&self, node: Node) -> usize {
        match node.source {
            Source::Large(index) => self.large[index as usize].len(),
            _ => node.len as usize,
        }
    }

    fn iter(&self, head: u32) -> impl Iterator<Item = Node> + '_ {
        let mut next = head;
        std::iter::from_fn(move || {
            let node = *self.nodes.get(next as usize)?;
            next = node.next;
            Some(node)
        })
    }
}

/// Writes from the outbox what the kernel takes. Returns whether there is a point in waiting for it to take more.
///
/// # Errors
/// The transport's, when the peer is gone.
pub fn flush_outbox(connection: &mut Connection) -> io::Result<bool> {
    let Connection {
        out, shared, phase, ..
    } = connection;
    if out.outbox.is_empty() {
        return Ok(false);
    }
    let mut turn = shared.writer();
    if *turn == Turn::Rest {
        return Ok(false);
    }
    while !out.outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = out.outbox.slices(&mut slices);
        let n = would_block(shared.transport().try_write_vectored(&slices[..filled]))?;
        if n == 0 {
            return Ok(true);
        }
        out.outbox.advance(n);
        out.settled += n as i64;
        // Within the turn: who waits for it sees what it came to. The peer may have the bytes already.
        shared.set_settled(out.settled);
    }
    // Before the 101 the JavaScript thread has nothing to write.
    if !is_http(phase) {
        *turn = Turn::Free;
    }
    Ok(false)
}

/// Whose turn it is matters only to sockets.
fn is_http(phase: &Phase) -> bool {
    matches!(phase, Phase::Http(_))
}

fn would_block(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
