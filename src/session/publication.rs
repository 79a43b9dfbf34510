//! A message published with compression: one for all I/O threads, and compressed once for all sockets that can share it.

use crate::wire::{Opcode, put_header};
use bytes::Bytes;
use std::sync::OnceLock;

/// The message and its frames.
#[derive(Debug)]
pub struct Publication {
    opcode: Opcode,
    /// The frame as it is without compression.
    plain: Bytes,
    /// Of `plain`, the header.
    header_len: usize,
    /// By window: the compressed frame, once a socket has asked for it.
    compressed: [OnceLock<Bytes>; WINDOWS],
}

/// Windows of 2 to the power of 8 to 15 bytes.
const WINDOWS: usize = 8;

impl Publication {
    /// Of a frame: text or binary, and not compressed.
    #[must_use]
    pub fn new(opcode: Opcode, frame: Bytes, header_len: usize) -> Self {
        Self {
            opcode,
            plain: frame,
            header_len,
            compressed: Default::default(),
        }
    }

    /// Text or binary.
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The frame for sockets without compression.
    #[must_use]
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The message.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.plain[self.header_len..]
    }

    /// The frame for sockets with this window (8 to 15) that share their context. The first that asks has `compress` make
    /// the payload; other threads that ask meanwhile wait for it, since they would have to do the same.
    pub fn compressed(
        &self,
        window: u8,
        compress: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> &Bytes {
        let index = usize::from(window.clamp(8, 15)) - 8;
        self.compressed[index].get_or_init(|| match compress(self.payload()) {
            Some(payload) => {
                let mut frame = Vec::with_capacity(payload.len() + crate::wire::MAX_HEADER);
                put_header(&mut frame, self.opcode, true, payload.len());
                frame.extend_from_slice(&payload);
                frame.into()
            }
            None => self.plain.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_is_compressed_once() {
        let publication = Publication::new(Opcode::Text, Bytes::from_static(b"\x81\x05Hello"), 2);
        assert_eq!(publication.payload(), b"Hello");
        let mut calls = 0;
        for window in [15, 9, 15, 8, 9] {
            let frame = publication.compressed(window, |payload| {
                calls += 1;
                Some(payload[..2].to_vec())
            });
            assert_eq!(&frame[..], b"\xc1\x02He");
        }
        assert_eq!(calls, 3);
    }

    #[test]
    fn what_cannot_be_compressed_goes_as_it_is() {
        let publication = Publication::new(Opcode::Binary, Bytes::from_static(b"\x82\x01x"), 2);
        assert_eq!(publication.compressed(15, |_| None), publication.plain());
    }
}
