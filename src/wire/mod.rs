//! Bytes to values and back: the WebSocket protocol (RFC 6455), its compression (RFC 7692) and the HTTP in front of it
//! (RFC 9112), without sockets, tasks, a clock or Node.
//!
//! | file | holds | RFC 6455, unless said |
//! | --- | --- | --- |
//! | `opcode.rs`, `close_code.rs` | the two registries as checked types | 11.8, 7.4 |
//! | `header.rs` | [`FrameHeader`]: one frame header and the rules it can be judged by alone | 5.2, 5.5 |
//! | `mask.rs` | the masking key, taken off and looked through for ASCII in one pass | 5.3 |
//! | `utf8.rs` | [`Utf8Validator`]: text that arrives in pieces | 8.1 |
//! | `decoder.rs` | [`Decoder`]: whole messages and control frames out of any split of the input | 5.4 to 5.6 |
//! | `message.rs` | fragments to messages, under [`Limits`] | 5.4 |
//! | `encoder.rs` | frames to write; a server never masks | 5.1, 5.2 |
//! | `handshake.rs` | the WebSocket part of the opening handshake | 4.2 |
//! | `extension.rs` | the negotiation of permessage-deflate: [`DeflateOptions`] and an offer to [`Deflate`] | 9.1; RFC 7692, 7.1 |
//! | `deflate.rs` | [`Deflater`], [`ShortDeflater`], [`Inflater`]: payloads to compressed payloads and back | RFC 7692, 7.2 |
//! | `text.rs` | UTF-16 to UTF-8 | 5.6 |
//! | `request.rs` | [`RequestReader`]: requests out of any split of the input, and nothing that can be read in two ways | RFC 9112, 2 to 7 |
//! | `response.rs` | the heads of responses, chunks | RFC 9112, 4 to 7 |
//! | `limits.rs`, `error.rs` | what a peer may cost, and [`ProtocolError`] for what it did wrong | 7.4.1, 10.4 |
//!
//! Every function takes what it works on as an argument, so everything here is tested, fuzzed and run under Miri
//! on plain byte slices.

mod close_code;
mod decoder;
mod deflate;
mod encoder;
mod error;
mod extension;
mod handshake;
mod header;
mod limits;
mod mask;
mod message;
mod opcode;
mod request;
pub mod response;
mod text;
mod utf8;

pub use close_code::{CloseCode, parse_close};
pub use decoder::Decoder;
pub use deflate::{Deflater, History, Inflater, ShortDeflater};
pub use encoder::{
    MAX_HEADER, OpenFrame, begin_frame, cut_reason, finish_frame, header_len, put_close, put_frame,
    put_header, write_header,
};
pub use error::ProtocolError;
pub use extension::{Deflate, DeflateContext, DeflateOptions};
pub use handshake::{Handshake, accept_key, classify, is_valid_key};
pub use header::FrameHeader;
pub use limits::Limits;
pub use mask::{scalar, unmask_append};
pub use message::{Frame, FrameKind, LARGE, Payload};
pub use opcode::Opcode;
pub use request::{HEAD_LIMIT, RequestError, RequestHead, RequestReader, path_of};
pub use text::{put_utf8, utf8_len};
pub use utf8::Utf8Validator;
