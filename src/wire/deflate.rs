//! Payloads to compressed payloads and back (RFC 7692, 7.2), one message a call.
//!
//! The contexts here belong to a thread, not to a connection: between two messages all that a connection with "context
//! takeover" keeps is its [`History`], the last bytes of the window, from which any context goes on. That is what
//! bounds its memory to the window, where a compressor of its own would hold some 300 KB.

mod short;

pub use self::short::ShortDeflater;
use super::ProtocolError;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The last bytes of what one direction of a connection has carried in compressed messages, as far as its window
/// reaches. Owns nothing before the first.
#[derive(Debug)]
pub struct History {
    bytes: Vec<u8>,
    window: usize,
}

impl History {
    /// For a window of 2 to the power of `window` bytes.
    #[must_use]
    pub fn new(window: u8) -> Self {
        Self {
            bytes: Vec::new(),
            window: 1 << window,
        }
    }

    fn push(&mut self, message: &[u8]) {
        let message = &message[message.len().saturating_sub(self.window)..];
        let excess = (self.bytes.len() + message.len()).saturating_sub(self.window);
        self.bytes.drain(..excess);
        let missing = (self.bytes.len() + message.len()).saturating_sub(self.bytes.capacity());
        if missing > 0 {
            // Doubled as by `push`, but never beyond the window.
            let room = (self.bytes.capacity() + missing)
                .next_power_of_two()
                .min(self.window);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(message);
    }

    fn last(&self, len: usize) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(len)..]
    }
}

/// What a flush (`Z_SYNC_FLUSH`) ends with, and a message leaves out (7.2.1).
const SYNC: [u8; 4] = [0, 0, 0xff, 0xff];
/// An empty final block. Behind a whole message it ends the stream; in the midst of a block it does not.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A compressor for messages of any length, with history or without.
#[derive(Debug)]
pub struct Deflater {
    inner: Compress,
    /// Whose history is its window at the moment; 0 for nobody's.
    owner: u64,
}

/// zlib's level: a third of the time of its default for long messages, and a tenth larger. `docs/compression.md` has the
/// measurements.
const LEVEL: u32 = 2;
/// At least so many bytes of history are gone through before a message; for a long message twice its length, so that
/// the effort is in proportion.
const REPLAY: usize = 8 << 10;

impl Deflater {
    /// Refers back at most 2 to the power of `window` bytes (8 to 15).
    #[must_use]
    pub fn new(window: u8) -> Self {
        // zlib knows no window of 256 bytes; with its smallest, of 512, it refers back 250 bytes at most.
        let window = window.clamp(9, 15);
        Self {
            inner: Compress::new_with_window_bits(Compression::new(LEVEL), false, window),
            owner: 0,
        }
    }

    /// Appends `payload`, compressed, to `out`. With a history, which a number other than 0 names, it may refer to
    /// earlier messages; all messages of one history are to go through one compressor. Returns false, with `out` as it was, if the compressor failed: the message is to be sent as it is.
    #[must_use]
    pub fn compress(
        &mut self,
        payload: &[u8],
        context: Option<(&mut History, u64)>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let owner = context.as_ref().map_or(0, |(_, owner)| *owner);
        if owner == 0 || owner != self.owner {
            self.inner.reset();
            self.owner = owner;
            if let Some((history, _)) = &context {
                let replay = history.last((payload.len() * 2).max(REPLAY));
                if !replay.is_empty() && self.inner.set_dictionary(replay).is_err() {
                    self.owner = 0;
                    return false;
                }
            }
        }
        if self.run(payload, out) && out[start..].ends_with(&SYNC) {
            out.truncate(out.len() - SYNC.len());
            if let Some((history, _)) = context {
                history.push(payload);
            }
            return true;
        }
        self.owner = 0;
        out.truncate(start);
        false
    }

    fn run(&mut self, mut payload: &[u8], out: &mut Vec<u8>) -> bool {
        out.reserve(payload.len() / 2 + 64);
        loop {
            let before = self.inner.total_in();
            if self
                .inner
                .compress_vec(payload, out, FlushCompress::Sync)
                .is_err()
            {
                return false;
            }
            payload = &payload[(self.inner.total_in() - before) as usize..];
            // Room that is left says that everything is out.
            if out.len() < out.capacity() {
                return payload.is_empty();
            }
            out.reserve(payload.len() / 2 + 64);
        }
    }
}

/// A decompressor.
#[derive(Debug)]
pub struct Inflater {
    inner: Decompress,
    block: Box<[u8]>,
}

/// Bytes inflated at once.
const BLOCK: usize = 16 << 10;
/// Bytes of a message for each time that it may end its stream and begin another (7.2.3.4), which costs about as much
/// as to inflate that many.
const PER_STREAM: usize = 256;

impl Default for Inflater {
    fn default() -> Self {
        Self {
            inner: Decompress::new(false),
            block: vec![0; BLOCK].into_boxed_slice(),
        }
    }
}

impl Inflater {
    /// Appends the message whose compressed payload is `packed` to `out`. `packed` is used up.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MessageTooBig`] as soon as there is more than `limit` bytes, and
    /// [`ProtocolError::InvalidCompressedData`] for anything that is not a whole message: also for one that breaks off
    /// inside a block. `out` then holds at most one block more than `limit` allows.
    pub fn inflate(
        &mut self,
        packed: &mut Vec<u8>,
        mut history: Option<&mut History>,
        limit: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        const INVALID: ProtocolError = ProtocolError::InvalidCompressedData;
        // Not what a compressor makes, but some clients mark empty messages too.
        if packed.is_empty() {
            return Ok(());
        }
        let start = out.len();
        let mut streams = 1 + packed.len() / PER_STREAM;
        let own = packed.len();
        // A conforming message never ends with these, for its last bits are zeros; some clients leave them on.
        if !packed.ends_with(&SYNC) {
            packed.extend_from_slice(&SYNC);
        }
        packed.extend_from_slice(&END);
        let tail = packed.len() - own;
        let mut rest = &packed[..];
        self.begin(history.as_deref(), &[])?;
        loop {
            let made = (out.len() - start) as u64;
            let room = limit
                .saturating_sub(made)
                .saturating_add(1)
                .min(BLOCK as u64) as usize;
            let block = &mut self.block[..room];
            let (total_in, total_out) = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(rest, block, FlushDecompress::None)
                .map_err(|_| INVALID)?;
            let read = (self.inner.total_in() - total_in) as usize;
            let written = (self.inner.total_out() - total_out) as usize;
            out.extend_from_slice(&block[..written]);
            rest = &rest[read..];
            if (out.len() - start) as u64 > limit {
                return Err(ProtocolError::MessageTooBig);
            }
            if status == Status::StreamEnd {
                if rest.is_empty() || rest.len() == tail {
                    break;
                }
                // A final block within the message: another stream follows, on the next byte.
                if rest.len() < tail || streams == 0 {
                    return Err(INVALID);
                }
                streams -= 1;
                self.begin(history.as_deref(), &out[start..])?;
            } else if read == 0 && written == 0 {
                return Err(INVALID);
            }
        }
        if let Some(history) = &mut history {
            history.push(&out[start..]);
        }
        Ok(())
    }

    /// A new stream, which may refer to what is before it: in earlier messages, and in this one.
    fn begin(&mut self, history: Option<&History>, message: &[u8]) -> Result<(), ProtocolError> {
        self.inner.reset(false);
        let history = history.map_or(&[][..], |history| &history.bytes);
        for piece in [history, message] {
            let piece = &piece[piece.len().saturating_sub(1 << 15)..];
            if !piece.is_empty() {
                self.inner
                    .set_dictionary(piece)
                    .map_err(|_| ProtocolError::InvalidCompressedData)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
