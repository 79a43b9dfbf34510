//! Messages and control frames out of any split of the input (RFC 6455, 5.4 and 5.5).

use super::mask::turned;
use super::message::{Message, admit, split_at_most};
use super::{Frame, FrameHeader, FrameKind, Limits, Opcode, Payload, ProtocolError, unmask_append};

/// Decodes what one client sends.
///
/// Where the input is cut makes no difference to what comes out. What is kept between two calls is only what is
/// half read: up to 13 bytes of a header inside the decoder, a message or a control frame in a buffer that is
/// allocated when its first part arrives and freed with its last. An idle decoder owns no memory.
#[derive(Debug)]
pub struct Decoder {
    /// The message that is open: half read, or between two fragments.
    message: Option<Box<Message>>,
    /// A control frame that is half read, possibly between two fragments of `message`.
    control: Option<Box<PartialControl>>,
    /// Front of a header; a whole one never stays here.
    header: [u8; FrameHeader::MAX_LEN - 1],
    /// Bytes of `header` that are filled.
    header_len: u8,
    rsv1_allowed: bool,
    state: State,
}

/// ```text
/// Open ── close frame ──▶ Closed
///   └──── violation ────▶ Failed
/// ```
#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    /// Whatever comes is swallowed (5.5.1: nothing follows a close frame).
    Closed,
    /// Whatever comes is refused with the same error.
    Failed(ProtocolError),
}

#[derive(Debug)]
struct PartialControl {
    kind: FrameKind,
    /// Turned to the next byte.
    key: [u8; 4],
    /// Payload bytes still to come, 1 to 125.
    remaining: u64,
    payload: Vec<u8>,
}

impl Decoder {
    /// A decoder at the start of a connection. `rsv1_allowed` says that permessage-deflate was negotiated.
    #[must_use]
    pub const fn new(rsv1_allowed: bool) -> Self {
        Self {
            message: None,
            control: None,
            header: [0; FrameHeader::MAX_LEN - 1],
            header_len: 0,
            rsv1_allowed,
            state: State::Open,
        }
    }

    /// Whether nothing is half read: no header, no payload, and no message waits for its next fragment.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.header_len == 0 && self.message.is_none() && self.control.is_none()
    }

    /// Takes bytes from the front of `input`, up to the end of the next message or control frame, and returns that;
    /// `None` when all of `input` has been taken.
    ///
    /// The payload is appended unmasked to `arena`, and ends where the arena does. After a close frame everything is
    /// swallowed, in this call and in every later one. Its payload is not looked at:
    /// [`parse_close`](super::parse_close) does that.
    ///
    /// # Errors
    ///
    /// The first violation of the protocol, as soon as the byte that makes it one has been read; behind that, `arena`
    /// may hold bytes that belong to nothing. Later calls return the same error.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut &[u8],
        limits: Limits,
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        match self.state {
            State::Open => {}
            State::Closed => {
                *input = &[];
                return Ok(None);
            }
            State::Failed(error) => return Err(error),
        }
        let result = self.next_open(input, limits, arena);
        if let Err(error) = result {
            self.end(State::Failed(error));
        }
        result
    }

    #[inline]
    fn next_open(
        &mut self,
        input: &mut &[u8],
        limits: Limits,
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        if !self.is_idle()
            && let Some(frame) = self.finish_partial(input, limits, arena)?
        {
            return Ok(Some(frame));
        }
        while !input.is_empty() {
            let Some((header, payload)) = FrameHeader::parse(input, self.rsv1_allowed)? else {
                self.keep(input);
                *input = &[];
                return Ok(None);
            };
            *input = payload;
            if let Some(frame) = self.frame(header, input, limits, arena)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Goes on inside the payload or the header that the last call ended in, if it did, up to the next frame.
    #[inline(never)]
    fn finish_partial(
        &mut self,
        input: &mut &[u8],
        limits: Limits,
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        if self.control.is_some() {
            return Ok(self.control_payload(input, arena));
        }
        if self
            .message
            .as_ref()
            .is_some_and(|message| message.awaits_payload())
        {
            return self.message_payload(input, arena);
        }
        if self.header_len == 0 {
            return Ok(None);
        }
        match self.finish_header(input)? {
            Some(header) => self.frame(header, input, limits, arena),
            None => Ok(None),
        }
    }

    /// The header whose front was kept; `None` when the input ends inside it again.
    fn finish_header(&mut self, input: &mut &[u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        let kept = usize::from(self.header_len);
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let mut len = 0;
        let front = self.header.iter().take(kept).chain(*input);
        for (to, &byte) in bytes.iter_mut().zip(front) {
            *to = byte;
            len += 1;
        }
        let parsed = FrameHeader::parse(&bytes[..len], self.rsv1_allowed)?;
        let Some((header, behind)) = parsed else {
            self.keep(&bytes[..len]);
            *input = &[];
            return Ok(None);
        };
        self.header_len = 0;
        *input = &input[len - behind.len() - kept..];
        Ok(Some(header))
    }

    /// Keeps the front of a header for the next call. It is shorter than the longest one, or it would be whole.
    fn keep(&mut self, front: &[u8]) {
        for (kept, &byte) in self.header.iter_mut().zip(front) {
            *kept = byte;
        }
        self.header_len = front.len() as u8;
    }

    /// Handles one frame, of which `input` holds at least the front of the payload. Returns what it completes.
    #[inline]
    fn frame(
        &mut self,
        header: FrameHeader,
        input: &mut &[u8],
        limits: Limits,
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        let text = match header.opcode {
            Opcode::Text => true,
            Opcode::Binary => false,
            Opcode::Continuation => return self.fragment(header, input, limits, arena),
            Opcode::Ping => return Ok(self.control(FrameKind::Ping, header, input, arena)),
            Opcode::Pong => return Ok(self.control(FrameKind::Pong, header, input, arena)),
            Opcode::Close => return Ok(self.control(FrameKind::Close, header, input, arena)),
        };
        let whole = usize::try_from(header.payload_len)
            .ok()
            .and_then(|len| input.split_at_checked(len));
        let Some((payload, rest)) = whole.filter(|_| header.fin && self.message.is_none()) else {
            return self.fragment(header, input, limits, arena);
        };
        admit(0, &header, limits)?;
        let start = arena.len();
        let ascii = unmask_append(arena, payload, header.key);
        let kind = if text {
            if !ascii && !header.rsv1 && simdutf8::basic::from_utf8(&arena[start..]).is_err() {
                return Err(ProtocolError::InvalidUtf8);
            }
            FrameKind::Text {
                ascii: ascii && !header.rsv1,
            }
        } else {
            FrameKind::Binary
        };
        *input = rest;
        Ok(Some(Frame {
            kind,
            payload: Payload::Arena {
                start,
                len: payload.len(),
            },
            compressed: header.rsv1,
        }))
    }

    /// A data frame that is not a whole message by itself, or has not arrived whole.
    #[inline(never)]
    fn fragment(
        &mut self,
        header: FrameHeader,
        input: &mut &[u8],
        limits: Limits,
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        match (header.opcode, &mut self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, Some(message)) => message.resume(&header, limits)?,
            (_, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            (_, none) => *none = Some(Box::new(Message::begin(&header, limits)?)),
        }
        self.message_payload(input, arena)
    }

    /// Takes what there is of the current fragment. Returns the message when it is whole.
    fn message_payload(
        &mut self,
        input: &mut &[u8],
        arena: &mut Vec<u8>,
    ) -> Result<Option<Frame>, ProtocolError> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        *input = message.append(input)?;
        match self.message.take_if(|message| message.is_complete()) {
            Some(message) => Ok(Some(message.finish(arena)?)),
            None => Ok(None),
        }
    }

    fn control(
        &mut self,
        kind: FrameKind,
        header: FrameHeader,
        input: &mut &[u8],
        arena: &mut Vec<u8>,
    ) -> Option<Frame> {
        let (payload, rest) = split_at_most(input, header.payload_len);
        if (payload.len() as u64) < header.payload_len {
            self.control = Some(Box::new(PartialControl {
                kind,
                key: header.key,
                remaining: header.payload_len,
                payload: Vec::new(),
            }));
            return self.control_payload(input, arena);
        }
        let start = arena.len();
        unmask_append(arena, payload, header.key);
        *input = rest;
        Some(self.control_frame(kind, start, arena))
    }

    /// Takes what there is of the half-read control frame. Returns it when it is whole.
    fn control_payload(&mut self, input: &mut &[u8], arena: &mut Vec<u8>) -> Option<Frame> {
        let control = self.control.as_mut()?;
        let (piece, rest) = split_at_most(input, control.remaining);
        unmask_append(&mut control.payload, piece, control.key);
        control.key = turned(control.key, piece.len());
        control.remaining -= piece.len() as u64;
        *input = rest;
        let control = self.control.take_if(|control| control.remaining == 0)?;
        let start = arena.len();
        arena.extend_from_slice(&control.payload);
        Some(self.control_frame(control.kind, start, arena))
    }

    /// The control frame whose payload is the arena from `start` on.
    fn control_frame(&mut self, kind: FrameKind, start: usize, arena: &[u8]) -> Frame {
        if kind == FrameKind::Close {
            self.end(State::Closed);
        }
        Frame {
            kind,
            payload: Payload::Arena {
                start,
                len: arena.len() - start,
            },
            compressed: false,
        }
    }

    /// Enters a final state; what is half read will never be needed.
    fn end(&mut self, state: State) {
        self.state = state;
        self.message = None;
        self.control = None;
        self.header_len = 0;
    }
}

#[cfg(test)]
mod tests;
