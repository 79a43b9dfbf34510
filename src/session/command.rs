//! Commands out: what a JavaScript thread wants of an I/O thread, applied strictly in call order.

use super::Publication;
use super::mailbox::Batch;
use crate::wire::Opcode;
use bytes::Bytes;
use std::sync::Arc;

/// From this many bytes on a payload travels in a buffer of its own instead of the batch's.
pub const LARGE: usize = 64 << 10;

/// One record. Offsets are into the batch's bytes.
#[derive(Debug)]
pub enum Command {
    /// Write these bytes (whole frames) to a socket.
    Send {
        /// The connection's slot.
        slot: u32,
        /// Start in the batch's bytes.
        start: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Write a large frame.
    SendLarge {
        /// The connection's slot.
        slot: u32,
        /// The frame, or what is left of it.
        frame: Box<Bytes>,
        /// Whether its beginning has already been written by the JavaScript thread.
        rest: bool,
    },
    /// Write a text message to a socket whose text is UTF-16, in [`CommandBatch::wide`].
    SendWide {
        /// The connection's slot.
        slot: u32,
        /// Start in code units.
        start: u32,
        /// Length in code units.
        len: u32,
    },
    /// Compress a message and write it to a socket.
    SendCompressed {
        /// The connection's slot.
        slot: u32,
        /// Text or binary.
        opcode: Opcode,
        /// Start of the payload in the batch's bytes.
        start: u32,
        /// Length of the payload in bytes.
        len: u32,
    },
    /// The same with a large message.
    SendLargeCompressed {
        /// The connection's slot.
        slot: u32,
        /// Text or binary.
        opcode: Opcode,
        /// The payload.
        payload: Box<Bytes>,
    },
    /// Write these bytes to every subscriber of a topic.
    Publish {
        /// The topic.
        topic: u32,
        /// The slot that does not get it, or [`NOBODY`].
        except: u32,
        /// Start in the batch's bytes.
        start: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Write a large frame to every subscriber of a topic.
    PublishLarge {
        /// The topic.
        topic: u32,
        /// The slot that does not get it, or [`NOBODY`].
        except: u32,
        /// The frame.
        frame: Box<Bytes>,
    },
    /// Write a message to every subscriber of a topic, to each as it has agreed to be sent it.
    PublishCompressed {
        /// The topic.
        topic: u32,
        /// The slot that does not get it, or [`NOBODY`].
        except: u32,
        /// The message.
        publication: Arc<Publication>,
    },
    /// The socket receives what is published to the topic from now on.
    Subscribe {
        /// The connection's slot.
        slot: u32,
        /// The topic.
        topic: u32,
    },
    /// It no longer does.
    Unsubscribe {
        /// The connection's slot.
        slot: u32,
        /// The topic.
        topic: u32,
    },
    /// Send a close frame, then end the connection. The slot is the I/O thread's from here on.
    Close {
        /// The connection's slot.
        slot: u32,
        /// The code on the wire; 0 for a close frame without payload.
        code: u16,
        /// Start of the reason in the batch's bytes.
        start: u32,
        /// Length of the reason in bytes.
        len: u32,
    },
    /// End the connection without a close frame. The slot is the I/O thread's from here on.
    Terminate {
        /// The connection's slot.
        slot: u32,
    },
    /// The next publish is not for this socket: its queue was full when JavaScript was told so.
    Skip {
        /// The connection's slot.
        slot: u32,
    },
    /// The socket receives no more of any topic.
    Leave {
        /// The connection's slot.
        slot: u32,
    },
    /// More waits for the socket than its server allows: end it, and say so with a close event.
    Overflow {
        /// The connection's slot.
        slot: u32,
    },
    /// The close event of this socket has been handled; its slot may be used again.
    Release {
        /// The connection's slot.
        slot: u32,
    },
    /// A ping that came behind messages has had its turn; its pong, if any, is among the sends.
    Answered {
        /// The connection's slot.
        slot: u32,
    },
    /// Stop reading.
    Pause {
        /// The connection's slot.
        slot: u32,
    },
    /// Read again.
    Resume {
        /// The connection's slot.
        slot: u32,
    },
    /// Something about an HTTP exchange or a server; rare enough for a box.
    Request {
        /// The connection's slot.
        slot: u32,
        /// The exchange: an answer to an earlier one is ignored.
        serial: u32,
        /// What to do.
        request: Box<Request>,
    },
    /// The server has stopped listening: let go of its idle connections, and of the others when they have answered.
    Stop {
        /// The server.
        server: u32,
        /// Whether connections with a pending request are ended too.
        force: bool,
    },
    /// The server's timeouts have changed.
    Reschedule {
        /// The server.
        server: u32,
    },
    /// What a static route of the server answers has become known: requests may be waiting for it.
    Rerouted {
        /// The server.
        server: u32,
    },
    /// End the idle keep-alive connections of the server.
    CloseIdle {
        /// The server.
        server: u32,
    },
}

impl Command {
    /// Whether this is a publish to the same sockets, and its frame lies at `start` in the batch's bytes.
    #[must_use]
    pub fn continues(&self, topic: u32, except: u32, start: u32) -> bool {
        matches!(self, Self::Publish { topic: t, except: e, start: s, .. } if (*t, *e, *s) == (topic, except, start))
    }
}

/// `except` of a publish that everybody gets.
pub const NOBODY: u32 = u32::MAX;

/// What to do about an HTTP exchange.
#[derive(Debug)]
pub enum Request {
    /// Answer 101 and go on as a WebSocket.
    Upgrade {
        /// The socket's identifier in events.
        id: u32,
        /// `Name: value\r\n` lines of the program's own, in front of ours.
        lines: Vec<u8>,
        /// The chosen subprotocol, as Latin-1 bytes.
        protocol: Option<Box<[u8]>>,
    },
    /// Answer.
    Respond(Box<Response>),
    /// Answer with nothing but the status and the lines, and end the connection.
    Refuse(Box<Response>),
    /// More of the response's body.
    Chunk {
        /// The bytes.
        data: Bytes,
        /// Whether [`crate::session::Event::ResponseWritable`] is wanted when all is written.
        want_writable: bool,
    },
    /// The response's body is complete.
    End,
    /// The response cannot be completed: cut the connection, so that the client notices.
    Abort,
    /// Give the next piece of the request's body.
    ReadBody,
    /// Nobody will read the rest of the body.
    CancelBody,
    /// Seconds without traffic after which this connection ends; 0 for never.
    Timeout(u32),
}

/// A response's head, and its body if it is all there.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase, if it is not the usual one.
    pub reason: Option<Box<str>>,
    /// `name: value\r\n` lines.
    pub lines: Vec<u8>,
    /// The whole body, or `None` when it follows in pieces.
    pub body: Option<Bytes>,
    /// Whether the connection ends after it.
    pub close: bool,
}

/// Commands of one JavaScript thread for one I/O thread, in call order.
#[derive(Debug, Default)]
pub struct CommandBatch {
    /// Frames and reasons.
    pub bytes: Vec<u8>,
    /// Text that is still to become UTF-8.
    pub wide: Vec<u16>,
    /// Records, in call order.
    pub commands: Vec<Command>,
    outside: usize,
}

impl CommandBatch {
    /// Records that the bytes from `start` on are frames for the socket: one record for a run of sends to one socket.
    #[inline]
    pub fn push_send(&mut self, slot: u32, start: usize) {
        let len = (self.bytes.len() - start) as u32;
        if let Some(Command::Send {
            slot: last,
            start: from,
            len: run,
        }) = self.commands.last_mut()
            && *last == slot
            && (*from + *run) as usize == start
        {
            *run += len;
            return;
        }
        self.commands.push(Command::Send {
            slot,
            start: start as u32,
            len,
        });
    }

    /// Records a payload outside the batch's bytes.
    pub fn push_outside(&mut self, command: Command, len: usize) {
        self.outside += len;
        self.commands.push(command);
    }

    /// Empties the batch for its next use; lets go of buffers that one burst has grown.
    pub fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        self.bytes.clear();
        self.wide.clear();
        self.commands.clear();
        self.outside = 0;
        if self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
        if self.wide.capacity() > KEEP / size_of::<u16>() {
            self.wide = Vec::new();
        }
        if self.commands.capacity() > KEEP / size_of::<Command>() {
            self.commands = Vec::new();
        }
    }
}

impl Batch for CommandBatch {
    fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    fn append(&mut self, other: &mut Self) {
        let base = self.bytes.len() as u32;
        let wide_base = self.wide.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.wide.extend_from_slice(&other.wide);
        self.commands
            .extend(other.commands.drain(..).map(|mut command| {
                if let Command::Send { start, .. }
                | Command::SendCompressed { start, .. }
                | Command::Publish { start, .. }
                | Command::Close { start, .. } = &mut command
                {
                    *start += base;
                } else if let Command::SendWide { start, .. } = &mut command {
                    *start += wide_base;
                }
                command
            }));
        self.outside += other.outside;
        other.clear();
    }

    fn weight(&self) -> usize {
        self.bytes.len()
            + 2 * self.wide.len()
            + self.outside
            + self.commands.len() * size_of::<Command>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_to_one_socket_in_a_row_become_one_record() {
        let mut batch = CommandBatch::default();
        for (slot, text) in [(1, "a"), (1, "b"), (2, "c"), (1, "d")] {
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(text.as_bytes());
            batch.push_send(slot, start);
        }
        let runs: Vec<_> = batch
            .commands
            .iter()
            .map(|c| match c {
                Command::Send { slot, start, len } => (*slot, *start, *len),
                _ => unreachable!("only sends were pushed"),
            })
            .collect();
        assert_eq!(runs, [(1, 0, 2), (2, 2, 1), (1, 3, 1)]);
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Command>() <= 24, "{}", size_of::<Command>());
    }
}
