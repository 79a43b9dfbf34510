//! TLS between a connection and its socket: the handshake, and records.
//!
//! Only the connection's I/O thread comes here, so the lock is never waited for. Ciphertext passes through two buffers
//! that the connections of a thread share; one of its own a connection has only for half a record that came in, and
//! for ciphertext that the kernel has not taken. An idle connection has neither.
//!
//! To the writer the stream looks like TCP: bytes count as written when the kernel has the ciphertext of all of them.
//! Until then they wait on both sides, encrypted here and as plaintext with the writer, which offers them again, and no
//! more is encrypted. So `getBufferedAmount` and the limits are about plaintext, and at most [`ROUND`] bytes wait twice.

use super::tls_config::TlsConfig;
use super::transport::Transport;
use rustls::server::{Acceptor, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Bytes of plaintext in a full record (RFC 8446, 5.1).
const RECORD: usize = 16 << 10;
/// What a record adds at most, header included (RFC 8446, 5.2).
const RECORD_OVERHEAD: usize = 5 + 256;
/// Bytes of plaintext encrypted for one write.
pub const ROUND: usize = 4 * RECORD;
/// Bytes of ciphertext read at once.
const INPUT: usize = 128 << 10;
/// Ciphertext that may be undecided: a handshake message has at most 64 KiB, which rustls checks, in several records.
const UNDECIDED: usize = INPUT - RECORD - RECORD_OVERHEAD;
/// The first byte of every TLS stream: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Shared by the connections of a thread.
struct Buffers {
    input: Box<[u8]>,
    output: Box<[u8]>,
    gather: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; INPUT].into_boxed_slice(),
        // Room for a key update, or an alert, in front of the records.
        output: vec![0; ROUND + 8 * RECORD_OVERHEAD].into_boxed_slice(),
        gather: Vec::new(),
    });
}

/// TLS over a stream.
pub struct TlsStream {
    wire: Transport,
    session: Mutex<Session>,
}

struct Session {
    rustls: UnbufferedServerConnection,
    /// Until it is known what this client has to show, where that depends on the name it asks for.
    choice: Option<Box<Choice>>,
    phase: Phase,
    /// Nothing more will come: `close_notify`, FIN, or a broken record.
    ended: bool,
    /// Our `close_notify` is among what was, or is to be, sent.
    closed: bool,
    /// Ciphertext that the kernel has not taken.
    unsent: Vec<u8>,
    /// Bytes of plaintext in it that the writer still counts as waiting.
    ahead: usize,
    /// The kernel has taken ciphertext since this was last asked.
    progress: bool,
    /// Ciphertext that is not a whole record, or not a whole handshake message, yet.
    received: Vec<u8>,
    /// Plaintext that found no room with the reader, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
}

/// Reads the first message of a client, and nothing more.
struct Choice {
    config: TlsConfig,
    acceptor: Acceptor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has been received.
    New,
    Handshake,
    Traffic,
    /// The peer has broken a rule, or the handshake its own.
    Failed,
}

/// Puts TLS over a stream that has just been accepted.
///
/// # Errors
/// rustls', which has none for a configuration that [`TlsConfig`] could be made with.
pub fn accept(wire: Transport, config: &TlsConfig) -> io::Result<Transport> {
    let rustls = UnbufferedServerConnection::new(config.common()).map_err(io::Error::other)?;
    let choice = config.asks_by_name().then(|| {
        Box::new(Choice {
            config: config.clone(),
            acceptor: Acceptor::default(),
        })
    });
    Ok(Transport::Tls(Box::new(TlsStream {
        wire,
        session: Mutex::new(Session {
            rustls,
            choice,
            phase: Phase::New,
            ended: false,
            closed: false,
            unsent: Vec::new(),
            ahead: 0,
            progress: false,
            received: Vec::new(),
            plain: Vec::new(),
            taken: 0,
        }),
    })))
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest is keys.
        f.debug_tuple("TlsStream").field(&self.wire).finish()
    }
}

impl TlsStream {
    /// Goes on with the handshake. Ready when it is over: true if both sides agree.
    pub fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let session = &mut *self.session();
        loop {
            if session.poll_flush(&self.wire, cx).is_err() {
                return Poll::Ready(false);
            }
            match session.phase {
                Phase::Traffic => return Poll::Ready(true),
                Phase::Failed => return Poll::Ready(false),
                Phase::New | Phase::Handshake if session.ended => return Poll::Ready(false),
                Phase::New | Phase::Handshake => {}
            }
            let mut nowhere = ReadBuf::new(&mut []);
            if ready!(session.poll_receive(&self.wire, cx, &mut nowhere)).is_err() {
                return Poll::Ready(false);
            }
        }
    }

    /// Reads plaintext; nothing, at the end of the stream.
    ///
    /// # Errors
    /// The transport's.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let session = &mut *self.session();
        let before = buf.filled().len();
        loop {
            session.hand_out(buf);
            if buf.filled().len() > before || session.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(session.poll_receive(&self.wire, cx, buf))?;
            // An answer of rustls' own, such as an alert. Behind data, the writer sees to it.
            if !session.unsent.is_empty() && session.ahead == 0 {
                session.poll_flush(&self.wire, cx)?;
            }
        }
    }

    /// Reads ciphertext and drops it, until the peer's FIN.
    pub fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<()> {
        BUFFERS.with_borrow_mut(|buffers| {
            loop {
                let mut buf = ReadBuf::new(&mut buffers.input);
                match ready!(self.wire.poll_read(cx, &mut buf)) {
                    Ok(()) if !buf.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
        })
    }

    /// Writes what the kernel takes at once; `WouldBlock` when it takes nothing.
    ///
    /// # Errors
    /// The transport's, and that the stream has been closed.
    pub fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let session = &mut *self.session();
        if session.closed || session.phase != Phase::Traffic {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        session.try_flush(&self.wire)?;
        let mut done = session.ahead.min(total);
        session.ahead -= done;
        BUFFERS.with_borrow_mut(|Buffers { output, gather, .. }| {
            while done < total {
                let (end, sealed) = session.seal(pieces, done, output, gather)?;
                let sent = or_nothing(self.wire.try_write(&output[..sealed]))?;
                if sent < sealed {
                    session.unsent.extend_from_slice(&output[sent..sealed]);
                    session.ahead = end - done;
                    break;
                }
                done = end;
            }
            Ok::<_, io::Error>(())
        })?;
        if done == 0 && total > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(done)
    }

    /// Waits until a write can succeed; only for the connection's own task.
    ///
    /// # Errors
    /// The reactor's.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_write_ready(cx)
    }

    /// Whether the kernel has taken something that no write was told of.
    #[must_use]
    pub fn take_progress(&self) -> bool {
        std::mem::take(&mut self.session().progress)
    }

    /// See [`Transport::has_unsent`].
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.session().unsent.is_empty() || self.wire.has_unsent()
    }

    /// Sends `close_notify`, then FIN. False when the kernel has no room for the former: to be tried again when it
    /// has. Without `patient` it is done without.
    #[must_use]
    pub fn shutdown_write(&self, patient: bool) -> bool {
        let session = &mut *self.session();
        let mut flushed = session.try_flush(&self.wire);
        if flushed.is_ok() && session.phase == Phase::Traffic && !session.closed {
            session.closed = true;
            session.seal_close();
            flushed = session.try_flush(&self.wire);
        }
        if patient && flushed.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return false;
        }
        session.closed = true;
        self.wire.shutdown_write(patient)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Reads ciphertext once and decrypts it. What finds no room in `buf` is kept.
    fn poll_receive(
        &mut self,
        wire: &Transport,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        BUFFERS.with_borrow_mut(|Buffers { input, .. }| {
            let kept = self.received.len();
            // No more than the reader asks for, but a whole record: its plaintext would only lie here.
            let want = (buf.remaining() + RECORD_OVERHEAD).max(RECORD + RECORD_OVERHEAD);
            let end = (kept + want).min(input.len());
            let mut read = ReadBuf::new(&mut input[kept..end]);
            ready!(wire.poll_read(cx, &mut read))?;
            let end = kept + read.filled().len();
            if end == kept {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            input[..kept].copy_from_slice(&self.received);
            self.received.clear();
            // An alert would be the answer to TLS; this is something else, such as HTTP.
            if self.phase == Phase::New && input[0] != HANDSHAKE {
                self.fail();
                return Poll::Ready(Ok(()));
            }
            let used = if self.has_chosen(&input[kept..end]) {
                self.advance(&mut input[..end], Some(buf), |_, _| {})
            } else {
                0
            };
            let left = &input[used..end];
            if self.ended || left.is_empty() {
                self.received = Vec::new();
            } else if left.len() > UNDECIDED {
                self.fail();
            } else {
                self.received.extend_from_slice(left);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Whether it is known what this client has to show. Where that depends on the name it asks for, its first message is
    /// read for that alone, and then by the connection that knows what to ask.
    fn has_chosen(&mut self, mut received: &[u8]) -> bool {
        let Some(Choice { config, acceptor }) = self.choice.as_deref_mut() else {
            return true;
        };
        let config = loop {
            if acceptor.read_tls(&mut received).unwrap_or(0) == 0 {
                break None;
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    break Some(match accepted.client_hello().server_name() {
                        Some(name) => config.named(name),
                        None => config.common(),
                    });
                }
                Ok(None) if received.is_empty() => return false,
                Ok(None) => {}
                Err((_, mut alert)) => {
                    let _ = alert.write_all(&mut self.unsent);
                    break None;
                }
            }
        };
        self.choice = None;
        // What cannot be read gets no connection at all, rather than one that asks for less.
        match config.map(UnbufferedServerConnection::new) {
            Some(Ok(rustls)) => self.rustls = rustls,
            Some(Err(_)) | None => self.fail(),
        }
        self.phase != Phase::Failed
    }

    /// Lets rustls go on with `input`, and calls `write` when data may be written. Returns how many bytes of the input
    /// are done with.
    fn advance(
        &mut self,
        input: &mut [u8],
        mut buf: Option<&mut ReadBuf<'_>>,
        write: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>),
    ) -> usize {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.rustls.process_tls_records(&mut input[used..]);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        let room = buf.as_ref().map_or(0, |buf| buf.remaining());
                        let fits = if self.plain.is_empty() { room } else { 0 };
                        let (now, later) = record.payload.split_at(fits.min(record.payload.len()));
                        if let Some(buf) = &mut buf {
                            buf.put_slice(now);
                        }
                        self.plain.extend_from_slice(later);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.unsent, |out| data.encode(out))
                }
                // It is in `unsent`.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    write(&mut traffic, &mut self.unsent);
                    used += discard;
                    break;
                }
                Ok(ConnectionState::BlockedHandshake) => false,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = true;
                    false
                }
                // Early data is not offered, and states to come would be about something we do not ask for.
                Ok(_) | Err(_) => {
                    self.fail();
                    return used + discard;
                }
            };
            used += discard;
            if !more {
                break;
            }
        }
        if self.phase != Phase::Failed {
            self.phase = if self.rustls.is_handshaking() {
                Phase::Handshake
            } else {
                Phase::Traffic
            };
        }
        used
    }

    /// The stream is unusable. The alert that says why is left to be sent, if rustls has one.
    fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.ended = true;
        self.received = Vec::new();
        // What is in there may be half a record.
        if self.ahead > 0 {
            return;
        }
        while self.rustls.wants_write() {
            // rustls gives what it has to send before it looks at its input.
            let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else {
                return;
            };
            if !encode(&mut self.unsent, |out| data.encode(out)) {
                return;
            }
        }
    }

    /// Encrypts a round of plaintext from `start` on. Returns where it ends, and how many bytes it has become.
    fn seal(
        &mut self,
        pieces: &[IoSlice<'_>],
        start: usize,
        output: &mut [u8],
        gather: &mut Vec<u8>,
    ) -> io::Result<(usize, usize)> {
        let mut skip = start;
        let mut end = start;
        let mut sealed = Ok(0);
        gather.clear();
        self.write_traffic(|traffic, _| {
            let mut add = |bytes: &[u8]| {
                if let Ok(at) = sealed {
                    sealed = traffic
                        .encrypt(bytes, &mut output[at..])
                        .map(|n| at + n)
                        .map_err(|_| io::ErrorKind::BrokenPipe);
                }
            };
            for piece in pieces {
                let Some(mut rest) = piece.get(skip..).filter(|rest| !rest.is_empty()) else {
                    skip -= piece.len();
                    continue;
                };
                skip = 0;
                while !rest.is_empty() && end - start < ROUND {
                    // Small pieces share a record; what fills one is encrypted where it lies.
                    let n = if gather.is_empty() && rest.len() >= RECORD {
                        add(&rest[..RECORD]);
                        RECORD
                    } else {
                        let n = rest.len().min(RECORD - gather.len());
                        gather.extend_from_slice(&rest[..n]);
                        if gather.len() == RECORD {
                            add(gather);
                            gather.clear();
                        }
                        n
                    };
                    end += n;
                    rest = &rest[n..];
                }
            }
            add(gather);
        });
        match sealed {
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(sealed) => Ok((end, sealed)),
            Err(kind) => Err(kind.into()),
        }
    }

    fn seal_close(&mut self) {
        self.write_traffic(|traffic, unsent| {
            let at = unsent.len();
            unsent.resize(at + 2 * RECORD_OVERHEAD, 0);
            let n = traffic.queue_close_notify(&mut unsent[at..]).unwrap_or(0);
            unsent.truncate(at + n);
        });
    }

    /// Calls `write` when data may be written, which in this phase is at once.
    fn write_traffic(
        &mut self,
        write: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>),
    ) {
        // rustls remembers how far into half a handshake message it has got: it is to see it each time.
        let mut received = std::mem::take(&mut self.received);
        let used = self.advance(&mut received, None, write);
        if self.phase != Phase::Failed {
            received.drain(..used);
            self.received = received;
        }
    }

    /// Writes the ciphertext that waits; `WouldBlock` if not all could be.
    fn try_flush(&mut self, wire: &Transport) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let sent = or_nothing(wire.try_write(&self.unsent))?;
        self.progress |= sent > 0;
        if sent < self.unsent.len() {
            self.unsent.drain(..sent);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.unsent = Vec::new();
        Ok(())
    }

    /// The same; what is left is tried again when the task is woken.
    fn poll_flush(&mut self, wire: &Transport, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            match self.try_flush(wire) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match wire.poll_write_ready(cx) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(ready) => ready?,
                    }
                }
                other => return other,
            }
        }
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        if self.plain.is_empty() {
            return;
        }
        let rest = &self.plain[self.taken..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        self.taken += n;
        if self.taken == self.plain.len() {
            self.plain = Vec::new();
            self.taken = 0;
        }
    }
}

/// Appends what rustls encodes. False if it does not.
fn encode(
    out: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> bool {
    let at = out.len();
    // Asked without room, it says how much it takes.
    let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size, .. })) =
        encode(&mut [])
    else {
        return false;
    };
    out.resize(at + required_size, 0);
    let written = encode(&mut out[at..]);
    out.truncate(at + *written.as_ref().unwrap_or(&0));
    written.is_ok()
}

fn or_nothing(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
