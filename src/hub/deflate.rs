//! Compression on an I/O thread: the contexts that its connections share, and what a connection keeps of its own.

use crate::session::Publication;
use crate::wire::{
    Deflate, Deflater, History, Inflater, LARGE, Opcode, Payload, ProtocolError, ShortDeflater,
    begin_frame, finish_frame,
};
use bytes::Bytes;

/// What one I/O thread compresses and inflates with, made when first needed.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// By window.
    deflaters: [Option<Box<Deflater>>; 16],
    short: Option<Box<ShortDeflater>>,
    inflater: Option<Box<Inflater>>,
    /// The compressed message at hand.
    packed: Vec<u8>,
    /// Numbers the histories, so that a compressor knows whose it goes on with.
    owners: u64,
}

/// Compression of one connection, if it was agreed on.
#[derive(Debug)]
pub(crate) struct SocketDeflate {
    agreed: Deflate,
    /// Made when the first message is compressed; a connection with shared contexts has none.
    sent: Option<Box<(History, u64)>>,
    /// The same for what is inflated.
    received: Option<Box<History>>,
}

impl SocketDeflate {
    pub(crate) fn new(agreed: Deflate) -> Self {
        Self {
            agreed,
            sent: None,
            received: None,
        }
    }

    /// Whether what it is sent is what others are sent too; then with which window.
    pub(crate) fn shared_window(&self) -> Option<u8> {
        (!self.agreed.server_takeover).then_some(self.agreed.server_window)
    }
}

impl Contexts {
    /// Appends a frame of `payload` to `out`: compressed if the socket has agreed to that, as it is otherwise.
    pub(crate) fn put_frame(
        &mut self,
        deflate: Option<&mut SocketDeflate>,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let frame = begin_frame(out, payload.len());
        let compressed = deflate.is_some_and(|deflate| {
            let window = deflate.agreed.server_window;
            if deflate.agreed.server_takeover && deflate.sent.is_none() {
                self.owners += 1;
                deflate.sent = Some(Box::new((History::new(window), self.owners)));
            }
            match deflate.sent.as_deref_mut() {
                Some((history, owner)) => {
                    self.deflater(window)
                        .compress(payload, Some((history, *owner)), out)
                }
                None => self.compress_alone(window, payload, out),
            }
        });
        if !compressed {
            out.extend_from_slice(payload);
        }
        finish_frame(out, &frame, opcode, compressed);
    }

    /// The frame of a publication for the sockets that share the context of this window.
    pub(crate) fn shared_frame<'a>(
        &mut self,
        window: u8,
        publication: &'a Publication,
    ) -> &'a Bytes {
        publication.compressed(window, |payload| {
            let mut out = Vec::new();
            self.compress_alone(window, payload, &mut out)
                .then_some(out)
        })
    }

    /// Inflates a compressed message that is the last in `arena`, or in a buffer of its own.
    pub(crate) fn inflate(
        &mut self,
        deflate: Option<&mut SocketDeflate>,
        payload: Payload,
        limit: u64,
        arena: &mut Vec<u8>,
    ) -> Result<Payload, ProtocolError> {
        let mut packed = std::mem::take(&mut self.packed);
        let start = payload.start_in(arena);
        match payload {
            Payload::Arena { .. } => {
                packed.clear();
                packed.extend_from_slice(&arena[start..]);
                arena.truncate(start);
            }
            Payload::Owned(payload) => packed = payload,
        }
        let history = deflate.and_then(|deflate| {
            let agreed = deflate.agreed;
            agreed.client_takeover.then(|| {
                &mut **deflate
                    .received
                    .get_or_insert_with(|| Box::new(History::new(agreed.client_window)))
            })
        });
        let inflater = self.inflater.get_or_insert_default();
        let result = inflater.inflate(&mut packed, history, limit, arena);
        // A buffer that one large message has grown is let go of.
        if packed.capacity() <= LARGE {
            self.packed = packed;
        }
        result?;
        let len = arena.len() - start;
        Ok(if len >= LARGE {
            Payload::Owned(arena.split_off(start))
        } else {
            Payload::Arena { start, len }
        })
    }

    /// Compresses a message by itself.
    fn compress_alone(&mut self, window: u8, payload: &[u8], out: &mut Vec<u8>) -> bool {
        if payload.len() <= ShortDeflater::LONGEST {
            let short = self.short.get_or_insert_default();
            short.compress(payload, window, out);
            return true;
        }
        self.deflater(window).compress(payload, None, out)
    }

    fn deflater(&mut self, window: u8) -> &mut Deflater {
        self.deflaters[usize::from(window & 15)]
            .get_or_insert_with(|| Box::new(Deflater::new(window)))
    }
}
