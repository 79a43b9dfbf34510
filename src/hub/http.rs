//! HTTP until the 101: a connection's task from its first byte on, and the requests it reads.
//!
//! A request is read when the one before has been answered and its answer has met the kernel; what the client sends
//! meanwhile waits, unread past a bound. So a connection costs one request and one head's worth of bytes, whatever its
//! client sends. Answers are `http_answer`'s: they are put into the round of the thread, as what sockets send is.

use crate::hub::connection::{Connection, Output, Phase, SocketPhase, at};
use crate::hub::http_answer::Waiting;
use crate::hub::io_thread::{self, IoThread};
use crate::hub::routes::Target;
use crate::hub::socket::{Read, read_some};
use crate::session::event::{BodyChunk, RequestText};
use crate::session::{Event, Transport};
use crate::wire::{Deflate, HEAD_LIMIT, Handshake, RequestHead, RequestReader, path_of};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

/// Seconds that a client which has been refused may take to stop sending. It could not read the answer if the connection
/// were closed on what it sends.
const LINGER: u32 = 2;
/// Bytes that are read meanwhile.
const LINGER_LIMIT: u32 = 4 << 20;
/// Steps of one connection before others get their turn.
const STEPS: usize = 8;

/// A connection that speaks HTTP.
#[derive(Debug, Default)]
pub struct HttpPhase {
    stage: Stage,
    /// The request that JavaScript is answering.
    pub exchange: Option<Box<Exchange>>,
    /// The request for a static route that waits for what the route answers.
    pub(super) waiting: Option<Box<Waiting>>,
    reader: RequestReader,
    /// What has come and has not been read yet: the rest of a body, the next request, or the first frames of a WebSocket.
    pub(super) rest: Vec<u8>,
    /// What the body contains, as far as it came with the head and nobody has asked for it.
    pub(super) content: Vec<u8>,
    /// Bytes of the body so far.
    received: u64,
    /// End it now, without a response.
    pub kill: bool,
    /// End it when it has answered.
    pub close_after: bool,
    /// Whether it is counted among the server's idle connections.
    pub counted_idle: bool,
    /// Nothing more of it is understood, or wanted: at its end what still comes is read for a while.
    pub(super) refused: bool,
    /// Second in which the head that is arriving began; 0 for none.
    pub head_since: u32,
}

/// Where an HTTP connection is in its life.
///
/// ```text
///   Handshake ──▶ Open ──▶ Ending ──▶ (gone)
///       │           └────▶ Lingering ───▲
///       └──────────▶ Failed ────────────┘
/// ```
#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    /// Requests and answers.
    #[default]
    Open,
    /// TLS is being agreed on.
    Handshake,
    /// That has failed: what the client still sends is read, so that it can read the alert that says why.
    Failed,
    /// The last answer is out, and so is FIN; what the client still sends is read. So many bytes may still come.
    Lingering(u32),
    /// The last answer is out; the end of the stream may wait for room in the kernel.
    Ending,
}

/// One request that JavaScript answers.
#[derive(Debug)]
pub struct Exchange {
    pub(super) serial: u32,
    /// Sec-WebSocket-Key of a good handshake.
    pub(super) key: Option<Box<str>>,
    /// The compression that a socket will have.
    pub(super) deflate: Option<Deflate>,
    pub(super) is_head: bool,
    /// The client waits for leave to send the body.
    pub(super) is_expecting: bool,
    /// An answer has been given, by JavaScript or in its stead.
    pub(super) answered: bool,
    /// All of the answer has been put into the queue.
    pub(super) is_done: bool,
    /// The client speaks HTTP/1.0, and knows of no chunks.
    pub(super) is_old: bool,
    /// How the end of an answer in pieces is told.
    pub(super) pieces: Pieces,
    pub(super) want_writable: bool,
    /// JavaScript waits for a piece of the body.
    pub(super) reading: bool,
}

/// How the end of an answer in pieces is told (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// By the last chunk.
    Chunked,
    /// By the length that was announced: so many bytes are still to come.
    Length(u64),
    /// By the end of the connection.
    UntilClose,
}

impl HttpPhase {
    /// A connection that has just been accepted.
    #[must_use]
    pub(crate) fn new(is_tls: bool) -> Self {
        Self {
            stage: if is_tls {
                Stage::Handshake
            } else {
                Stage::Open
            },
            counted_idle: true,
            ..Self::default()
        }
    }

    /// Whether a request is being answered, or an answer is on its way.
    #[must_use]
    pub(super) fn is_answering(&self, out: &Output) -> bool {
        self.exchange.is_some() || self.waiting.is_some() || !out.is_empty()
    }

    /// Whether the body of the request has been read to its end.
    pub(super) fn is_body_complete(&self) -> bool {
        self.reader.is_complete()
    }

    /// An answer to a client that has got no leave to send its body: whether the body comes now, the client alone knows,
    /// so the connection ends behind it.
    fn end_unasked(&mut self, is_expecting: bool) {
        if is_expecting && self.reader.is_in_body() {
            self.refused = true;
            self.close_after = true;
        }
    }

    /// What is to be read next.
    fn wants(&self, out: &Output) -> Want {
        if self.refused {
            Want::Nothing
        } else if !self.is_answering(out) {
            if self.reader.is_in_body() {
                Want::Rest
            } else {
                Want::Head
            }
        } else if self.exchange.as_ref().is_some_and(|e| e.reading) && self.reader.is_in_body() {
            Want::Body
        } else {
            Want::Behind(HEAD_LIMIT.saturating_sub(self.rest.len()))
        }
    }
}

/// What a connection is to read.
enum Want {
    Head,
    /// A body, for JavaScript.
    Body,
    /// What is left of the body of a request that has been answered.
    Rest,
    /// What is not its turn yet, and whether the client is there: so many bytes.
    Behind(usize),
    Nothing,
}

/// Starts the task of a connection.
pub(crate) fn spawn(slot: u32) {
    tokio::spawn(std::future::poll_fn(move |cx| {
        io_thread::with(|io| io.poll_connection(slot, cx)).unwrap_or(Poll::Ready(()))
    }));
}

impl IoThread {
    fn poll_connection(&mut self, slot: u32, cx: &mut Context<'_>) -> Poll<()> {
        let Some(connection) = self.connection(slot) else {
            return Poll::Ready(());
        };
        if !connection
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            connection.waker = Some(cx.waker().clone());
        }
        match connection.phase {
            Phase::Socket(_) => self.poll_socket(slot, cx),
            Phase::Http(_) => self.poll_http(slot, cx),
            Phase::Dead => Poll::Ready(()),
        }
    }

    fn poll_http(&mut self, slot: u32, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_write(slot, cx);
        for _ in 0..STEPS {
            let Some(Connection {
                phase: Phase::Http(http),
                out,
                shared,
                ..
            }) = at(&mut self.slots, slot)
            else {
                return Poll::Ready(());
            };
            if http.kill {
                return self.end_http(slot);
            }
            let stream = shared.transport();
            match (http.stage, stream) {
                (Stage::Open, _) => {}
                (Stage::Handshake, _) if http.close_after => return self.end_http(slot),
                (Stage::Handshake, Transport::Tls(tls)) => {
                    if ready!(tls.poll_handshake(cx)) {
                        http.stage = Stage::Open;
                    } else {
                        http.stage = Stage::Failed;
                        let _ = stream.shutdown_write(false);
                        self.linger(slot);
                        continue;
                    }
                }
                (Stage::Failed, Transport::Tls(tls)) => {
                    ready!(tls.poll_drain(cx));
                    return self.end_http(slot);
                }
                (Stage::Handshake | Stage::Failed, _) => return self.end_http(slot),
                (Stage::Lingering(left), _) => {
                    match read_some(stream, cx, &mut self.scratch) {
                        Read::Pending => return Poll::Pending,
                        Read::Bytes(n) if n < left as usize => {
                            self.set_stage(slot, Stage::Lingering(left - n as u32));
                        }
                        Read::Bytes(_) | Read::End => return self.end_http(slot),
                    }
                    continue;
                }
                (Stage::Ending, _) => {
                    if !stream.shutdown_write(true) && ready!(stream.poll_write_ready(cx)).is_ok() {
                        continue;
                    }
                    return self.end_http(slot);
                }
            }
            if http.close_after && !http.is_answering(out) {
                self.begin_end(slot);
                continue;
            }
            if http.waiting.is_some() && self.answer_waiting(slot) {
                continue;
            }
            if self.read_on(slot, cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn set_stage(&mut self, slot: u32, stage: Stage) {
        if let Some(http) = self.http(slot) {
            http.stage = stage;
        }
    }

    /// The last answer is out. A client that may still be sending is told that nothing comes any more, and heard out.
    fn begin_end(&mut self, slot: u32) {
        let now = self.wheel.now();
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        if http.refused || http.reader.is_in_body() {
            http.stage = Stage::Lingering(LINGER_LIMIT);
            let _ = connection.shared.transport().shutdown_write(false);
            connection.active = now;
            connection.timeout = Some(LINGER);
            self.schedule(slot);
        } else {
            http.stage = Stage::Ending;
        }
    }

    /// One step of reading.
    fn read_on(&mut self, slot: u32, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Connection {
            phase: Phase::Http(http),
            out,
            shared,
            ..
        }) = at(&mut self.slots, slot)
        else {
            return Poll::Pending;
        };
        if http.reader.is_complete() && !http.is_answering(out) && !http.refused {
            http.reader.begin();
        }
        let want = http.wants(out);
        if !http.rest.is_empty() && !matches!(want, Want::Behind(_) | Want::Nothing) {
            let bytes = std::mem::take(&mut http.rest);
            self.take(slot, &want, &bytes);
            return Poll::Ready(());
        }
        let room = match want {
            Want::Nothing | Want::Behind(0) => return Poll::Pending,
            Want::Behind(room) => room,
            Want::Head => HEAD_LIMIT,
            Want::Body | Want::Rest => self.scratch.len(),
        };
        match read_some(shared.transport(), cx, &mut self.scratch[..room]) {
            Read::Pending => Poll::Pending,
            Read::End => {
                self.client_left(slot);
                Poll::Ready(())
            }
            Read::Bytes(n) => {
                let scratch = std::mem::take(&mut self.scratch);
                self.take(slot, &want, &scratch[..n]);
                self.scratch = scratch;
                Poll::Ready(())
            }
        }
    }

    /// No more will come. What is being answered is given up, unless the answer needs no more than to be written.
    fn client_left(&mut self, slot: u32) {
        let Some(Connection {
            phase: Phase::Http(http),
            out,
            ..
        }) = at(&mut self.slots, slot)
        else {
            return;
        };
        if http.exchange.is_none() && http.is_answering(out) {
            http.close_after = true;
            http.refused = true;
        } else {
            http.kill = true;
        }
    }

    fn take(&mut self, slot: u32, want: &Want, bytes: &[u8]) {
        match want {
            Want::Head => self.take_head(slot, bytes),
            Want::Body | Want::Rest => self.take_body(slot, bytes),
            Want::Behind(_) => {
                if let Some(http) = self.http(slot) {
                    http.rest.extend_from_slice(bytes);
                }
            }
            Want::Nothing => {}
        }
    }

    /// Bytes where a head is due.
    fn take_head(&mut self, slot: u32, bytes: &[u8]) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        match http.reader.read_head(bytes) {
            Ok(Some((head, used))) => {
                http.head_since = 0;
                // Only a whole head is a sign of life: one that comes byte by byte runs into the timeout.
                connection.active = now;
                // What is wrong with the beginning of a body is as good as wrong with the head.
                match http.reader.read_body(&bytes[used..], &mut http.content) {
                    Ok(of_body) => http.rest.extend_from_slice(&bytes[used + of_body..]),
                    Err(error) => return self.refuse_request(slot, error.status()),
                }
                http.received = http.content.len() as u64;
                self.request(slot, &head);
            }
            Ok(None) => {
                if http.head_since == 0 {
                    http.head_since = now.max(1);
                    self.schedule(slot);
                }
            }
            Err(error) => self.refuse_request(slot, error.status()),
        }
    }

    /// A request whose head is complete.
    fn request(&mut self, slot: u32, head: &RequestHead<'_>) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let server = &connection.server;
        let limit = server.config.max_request_body_size.load(Ordering::Relaxed);
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        if head.content_length().unwrap_or(http.received) > limit {
            return self.refuse_request(slot, 413);
        }
        let handshake = head.handshake();
        let is_handshake = handshake != Handshake::NotWebSocket;
        let route = server.routes().and_then(|routes| {
            match routes.find(head.method(), path_of(head.target()), is_handshake)? {
                Target::Static(route) => Some(Arc::clone(route)),
                Target::Handler => None,
            }
        });
        http.close_after |= head.closes();
        if let Some(route) = route {
            http.content = Vec::new();
            http.end_unasked(head.expects_continue());
            return self.answer_static(slot, route, head);
        }
        let (key, deflate) = if handshake == Handshake::Accepted {
            let offers = head.extensions();
            let options = server.config.deflate();
            (
                head.key().map(Box::from),
                offers.and_then(|offers| options.negotiate(&offers)),
            )
        } else {
            (None, None)
        };
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        http.exchange = Some(Box::new(Exchange {
            serial,
            key,
            deflate,
            is_head: head.method() == b"HEAD",
            is_expecting: head.expects_continue(),
            answered: false,
            is_done: false,
            is_old: !head.is_http11(),
            pieces: Pieces::Chunked,
            want_writable: false,
            reading: false,
        }));
        let event = crate::session::event::RequestHead {
            server: server.id,
            slot,
            serial,
            shared: Arc::clone(&connection.shared),
            text: RequestText::new(head),
            handshake: match handshake {
                Handshake::NotWebSocket => 0,
                Handshake::Accepted => 1,
                Handshake::WrongVersion => 2,
            },
            deflates: deflate.is_some(),
            flags: u32::from(head.has_body()) | u32::from(!head.is_http11()) << 1,
        };
        let batch = &mut self.envs[connection.env].batch;
        batch.events.push(Event::Request(Box::new(event)));
        self.set_idle(slot, false);
        self.flush_soon();
    }

    /// Bytes of a body, and of what comes behind it.
    fn take_body(&mut self, slot: u32, bytes: &[u8]) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        let config = &connection.server.config;
        let limit = config.max_request_body_size.load(Ordering::Relaxed);
        connection.active = now;
        let mut content = Vec::new();
        let used = match http.reader.read_body(bytes, &mut content) {
            Ok(used) => used,
            Err(error) => return self.refuse_body(slot, error.status()),
        };
        http.received += content.len() as u64;
        if http.received > limit {
            // Only a body whose length was not announced gets here.
            return self.refuse_body(slot, 413);
        }
        http.rest.extend_from_slice(&bytes[used..]);
        let is_complete = http.reader.is_complete();
        if let Some(exchange) = http.exchange.as_deref_mut()
            && exchange.reading
            && (is_complete || !content.is_empty())
        {
            exchange.reading = false;
            let chunk = if content.is_empty() {
                BodyChunk::End
            } else {
                BodyChunk::Data(content.into())
            };
            let serial = exchange.serial;
            self.envs[connection.env]
                .batch
                .push_body(slot, serial, chunk);
            self.flush_soon();
        }
    }

    /// A body is not what the server accepts, after its request was passed on: nothing more of it is read.
    fn refuse_body(&mut self, slot: u32, status: u16) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        http.refused = true;
        http.close_after = true;
        match http.exchange.as_deref_mut() {
            Some(exchange) if !exchange.answered => {
                exchange.answered = true;
                exchange.is_done = true;
                if std::mem::take(&mut exchange.reading) {
                    let serial = exchange.serial;
                    self.envs[connection.env]
                        .batch
                        .push_body(slot, serial, BodyChunk::Failed);
                }
                self.put_refusal(slot, status);
            }
            _ => http.kill = true,
        }
    }

    /// A request is refused before anybody has seen it.
    fn refuse_request(&mut self, slot: u32, status: u16) {
        if let Some(http) = self.http(slot) {
            http.refused = true;
            http.close_after = true;
            self.put_refusal(slot, status);
        }
    }

    pub(super) fn http(&mut self, slot: u32) -> Option<&mut HttpPhase> {
        match &mut self.connection(slot)?.phase {
            Phase::Http(phase) => Some(phase),
            _ => None,
        }
    }

    /// A write has been tried: goes on with what waited for it.
    pub(super) fn after_http_write(&mut self, slot: u32, gone: bool) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        if gone {
            http.kill = true;
            connection.wake();
            return;
        }
        if !connection.out.is_empty() {
            // The task registers for the moment when the kernel takes more.
            connection.wake();
            return self.set_idle(slot, false);
        }
        connection.active = now;
        if let Some(exchange) = http.exchange.as_deref_mut() {
            let serial = exchange.serial;
            if exchange.is_done {
                self.exchange_over(slot, true);
            } else if std::mem::take(&mut exchange.want_writable) {
                self.envs[connection.env]
                    .batch
                    .events
                    .push(Event::ResponseWritable { slot, serial });
                self.flush_soon();
            }
        } else if http.waiting.is_none() {
            self.set_idle(slot, true);
        }
        if let Some(connection) = self.connection(slot)
            && let Phase::Http(http) = &connection.phase
            && (http.close_after || !http.rest.is_empty() || http.reader.is_in_body())
        {
            connection.wake();
        }
    }

    /// The request has been answered, or will not be.
    pub(super) fn exchange_over(&mut self, slot: u32, complete: bool) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        let Some(exchange) = http.exchange.take() else {
            return;
        };
        http.end_unasked(exchange.is_expecting);
        http.content = Vec::new();
        connection.timeout = None;
        connection.named |= !complete;
        let serial = exchange.serial;
        self.envs[connection.env]
            .batch
            .events
            .push(Event::RequestEnd {
                slot,
                serial,
                aborted: !complete,
            });
        self.set_idle(slot, true);
        self.flush_soon();
    }

    /// Takes the connection from HTTP: it is a WebSocket now, and what has come behind its handshake are frames.
    pub(super) fn leave_http(&mut self, slot: u32, socket: SocketPhase) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = std::mem::replace(&mut connection.phase, Phase::Socket(socket))
        else {
            return;
        };
        if http.counted_idle {
            connection.server.idle.fetch_sub(1, Ordering::Relaxed);
        }
        connection.timeout = None;
        connection.wake();
        if !http.rest.is_empty() {
            self.receive_early(slot, &http.rest);
        }
        self.schedule(slot);
    }

    /// The connection has ended within HTTP.
    fn end_http(&mut self, slot: u32) -> Poll<()> {
        self.exchange_over(slot, false);
        if let Some(connection) = self.connection(slot) {
            let shared = Arc::clone(&connection.shared);
            let env = connection.env;
            if connection.server.stopping.load(Ordering::Relaxed) {
                // What waits for `stop()` has been told when the client notices.
                self.uncount(slot);
                self.post_events(env);
            }
            // JavaScript may hold the stream open for a while: the client is told now.
            let _ = shared.transport().shutdown_write(false);
            self.remove(slot);
        }
        Poll::Ready(())
    }
}
