//! HTTP until the 101. What is on the wire is hyper's; here are the exchange with JavaScript and the way out of HTTP.
//!
//! One task serves a connection from its first byte. While hyper runs it calls back: for a request (`Service`), for a
//! response's body (`ResponseBody`), to read and write (`Stream`). Each call borrows the thread's state for a moment;
//! JavaScript's answers are put there by `apply`, which wakes the task.
//!
//! An upgrade takes the stream, and the bytes hyper has read beyond the handshake, out of hyper before it has answered:
//! the 101 is ours, and leaves in one write with whatever `open` sends.

use crate::hub::connection::{Farewell, HttpPhase, Phase, SocketPhase, SocketState, at};
use crate::hub::http_guard::{self, Refusal};
use crate::hub::http_response::{Answer, Service};
use crate::hub::http_stream::Stream;
use crate::hub::io_thread::{self, IoThread};
use crate::hub::routes::Target;
use crate::hub::writer;
use crate::session::command::Response;
use crate::session::event::{BodyChunk, RequestHead};
use crate::session::tls::TlsRead;
use crate::session::{Event, ReadHalf, Request, SocketShared};
use crate::wire::{Deflate, Handshake, accept_key, classify};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Bytes a request's head may have. It is also the most that is read of what a client sends while its request is being
/// answered.
pub(super) const HEAD_LIMIT: usize = 16 << 10;
/// Seconds that a client which has been refused may take to stop sending. It could not read the answer if the connection
/// were closed on what it sends.
const LINGER: u32 = 2;
/// Bytes that are read meanwhile.
const LINGER_LIMIT: usize = 4 << 20;

/// A request as the guard has seen it.
#[derive(Debug)]
pub(super) enum Next {
    /// It has been passed on.
    Request {
        /// Its target, as it was sent.
        target: Box<[u8]>,
        /// Its method is CONNECT, which hyper must not see.
        is_connect: bool,
        /// `name: value\n` for each field.
        fields: Vec<u8>,
    },
    /// It is refused. hyper sees another one in its place, so that the answer has its turn.
    Refused(Refusal),
}

/// One request and its answer.
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
    /// JavaScript's answer, until hyper takes it.
    pub(super) response: Option<Box<Response>>,
    /// An answer has been given, by JavaScript or in its stead.
    pub(super) answered: bool,
    pub(super) body: Option<Incoming>,
    pub(super) received: u64,
    /// JavaScript waits for a piece of the body.
    pub(super) reading: bool,
    /// Pieces of the response's body.
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) ended: bool,
    pub(super) cut: bool,
    pub(super) want_writable: bool,
}

/// What the task has to do besides letting hyper run.
enum Step {
    Go,
    /// Answer what is pending, then end.
    Finish,
    /// End now.
    Kill,
    /// Leave HTTP.
    Upgrade,
}

/// The connection's task, from accept to the end of HTTP.
pub(crate) async fn run(slot: u32, mut read: ReadHalf, shared: Arc<SocketShared>) {
    if let ReadHalf::Tls(tls) = &mut read
        && !shake_hands(slot, tls, &shared).await
    {
        return;
    }
    let stream = Stream::new(slot, read, shared);
    let mut connection = hyper::server::conn::http1::Builder::new()
        // The guard is stricter: with this no head that it has passed is too large.
        .max_buf_size(2 * HEAD_LIMIT)
        .half_close(false)
        .auto_date_header(false)
        .serve_connection(stream, Service { slot });
    let upgraded = std::future::poll_fn(|cx| {
        loop {
            match io_thread::with(|io| io.http_step(slot, cx)).unwrap_or(Step::Kill) {
                Step::Kill => return Poll::Ready(false),
                Step::Upgrade => return Poll::Ready(true),
                Step::Finish => Pin::new(&mut connection).graceful_shutdown(),
                Step::Go => {}
            }
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            // hyper hands the body over within its poll: only behind it can it be read.
            if !poll_body(slot, cx) {
                return Poll::Pending;
            }
        }
    })
    .await;
    if upgraded {
        let parts = connection.into_parts();
        let (read, early) = parts.io.into_parts(&parts.read_buf);
        io_thread::with(|io| io.leave_http(slot, read, &early));
        return;
    }
    if io_thread::with(|io| io.begin_linger(slot)).unwrap_or(false) {
        let mut read = connection.into_parts().io.into_parts(&[]).0;
        linger(slot, &mut read).await;
    } else {
        drop(connection);
    }
    io_thread::with(|io| io.end_http(slot));
}

/// The TLS handshake, within the time that an HTTP connection may be silent. False: the connection has ended.
async fn shake_hands(slot: u32, read: &mut TlsRead, shared: &SocketShared) -> bool {
    let step =
        |cx: &Context<'_>| io_thread::with(|io| io.http_step(slot, cx)).unwrap_or(Step::Kill);
    let agreed = std::future::poll_fn(|cx| match step(cx) {
        Step::Go => read.poll_handshake(cx),
        Step::Finish | Step::Kill | Step::Upgrade => Poll::Ready(false),
    })
    .await;
    if agreed {
        return true;
    }
    let _ = shared.transport().shutdown_write(false);
    io_thread::with(|io| io.linger(slot));
    // Closing with bytes unread would reset the connection, and the client might not see the alert that says why.
    std::future::poll_fn(|cx| match step(cx) {
        Step::Go => read.poll_drain(cx),
        Step::Finish | Step::Kill | Step::Upgrade => Poll::Ready(()),
    })
    .await;
    io_thread::with(|io| io.end_http(slot));
    false
}

/// Reads a piece of the request's body if JavaScript waits for one, or if the request has been answered and the rest of
/// its body is in the way of the next one. Returns whether hyper has to run again for more.
fn poll_body(slot: u32, cx: &mut Context<'_>) -> bool {
    let body = io_thread::with(|io| {
        let http = io.http(slot)?;
        match http.exchange.as_deref_mut() {
            Some(exchange) if exchange.reading => exchange.body.take(),
            Some(_) => None,
            None => http.leftover.take(),
        }
    });
    let Some(mut body) = body.flatten() else {
        return false;
    };
    let polled = Pin::new(&mut body).poll_frame(cx);
    io_thread::with(|io| io.body_polled(slot, body, polled)).unwrap_or(false)
}

/// Reads what a refused client still sends, until it stops, has sent too much, or time is up.
async fn linger(slot: u32, read: &mut ReadHalf) {
    let mut left = LINGER_LIMIT;
    std::future::poll_fn(|cx| {
        loop {
            let more = io_thread::with(|io| {
                if matches!(io.http_step(slot, cx), Step::Kill) {
                    return Poll::Ready(0);
                }
                let mut buf = ReadBuf::new(&mut io.scratch);
                match ready!(read.poll_read(cx, &mut buf)) {
                    Ok(()) => Poll::Ready(buf.filled().len()),
                    Err(_) => Poll::Ready(0),
                }
            });
            match more {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(read)) if read > 0 && read < left => left -= read,
                _ => return Poll::Ready(()),
            }
        }
    })
    .await;
}

impl IoThread {
    pub(super) fn http(&mut self, slot: u32) -> Option<&mut HttpPhase> {
        match &mut self.connection(slot)?.phase {
            Phase::Http(phase) => Some(phase),
            _ => None,
        }
    }

    pub(super) fn exchange(&mut self, slot: u32) -> Option<&mut Exchange> {
        self.http(slot)?.exchange.as_deref_mut()
    }

    /// Whether a client that was refused may still be sending. Tells it that nothing comes any more.
    fn begin_linger(&mut self, slot: u32) -> bool {
        let now = self.wheel.now();
        let Some(connection) = self.connection(slot) else {
            return false;
        };
        if !matches!(&connection.phase, Phase::Http(http) if http.refused && !http.kill) {
            return false;
        }
        let _ = connection.shared.transport().shutdown_write(false);
        connection.active = now;
        connection.timeout = Some(LINGER);
        self.schedule(slot);
        true
    }

    /// A body has broken the rules after its request was passed on: nothing more of it is read.
    pub(super) fn refuse_rest(&mut self, slot: u32, status: Refusal) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let env = connection.env;
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        http.refused = true;
        http.leftover = None;
        match http.exchange.as_deref_mut() {
            Some(exchange) if !exchange.answered => {
                exchange.refuse(status);
                exchange.body = None;
                let serial = exchange.serial;
                let reading = std::mem::take(&mut exchange.reading);
                http.close_after = true;
                connection.wake();
                if reading {
                    self.envs[env]
                        .batch
                        .push_body(slot, serial, BodyChunk::Failed);
                    self.flush_soon();
                }
            }
            _ => {
                http.kill = true;
                connection.wake();
            }
        }
    }

    fn http_step(&mut self, slot: u32, cx: &Context<'_>) -> Step {
        let Some(connection) = self.connection(slot) else {
            return Step::Kill;
        };
        if !connection
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            connection.waker = Some(cx.waker().clone());
        }
        match &connection.phase {
            Phase::Http(phase) if phase.kill => Step::Kill,
            Phase::Http(phase) if phase.close_after => Step::Finish,
            Phase::Http(_) => Step::Go,
            Phase::Socket(_) if connection.unflushed => Step::Go,
            Phase::Socket(_) => Step::Upgrade,
            Phase::Dead => Step::Kill,
        }
    }

    fn body_polled(
        &mut self,
        slot: u32,
        body: Incoming,
        polled: Poll<Option<Result<Frame<Bytes>, hyper::Error>>>,
    ) -> bool {
        let Some(connection) = self.connection(slot) else {
            return false;
        };
        let (env, limit) = (
            connection.env,
            connection
                .server
                .config
                .max_request_body_size
                .load(Ordering::Relaxed),
        );
        let Some(exchange) = self.exchange(slot) else {
            // Nobody asks for it; an end, or an error, is hyper's to deal with.
            let is_more = matches!(polled, Poll::Ready(Some(Ok(_))));
            if (is_more || polled.is_pending())
                && let Some(http) = self.http(slot)
            {
                http.leftover = Some(body);
            }
            return polled.is_ready();
        };
        let serial = exchange.serial;
        let chunk = match polled {
            Poll::Pending => {
                exchange.body = Some(body);
                return false;
            }
            Poll::Ready(None) => BodyChunk::End,
            Poll::Ready(Some(Err(_))) => BodyChunk::Failed,
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    exchange.received += data.len() as u64;
                    if exchange.received > limit {
                        exchange.refuse(413);
                        BodyChunk::Failed
                    } else {
                        exchange.body = Some(body);
                        BodyChunk::Data(data)
                    }
                } else {
                    // Trailers: nobody asks for them.
                    exchange.body = Some(body);
                    return true;
                }
            }
        };
        exchange.reading = false;
        self.envs[env].batch.push_body(slot, serial, chunk);
        self.flush_soon();
        true
    }

    /// A request has arrived. Returns the exchange's serial, or the answer that needs no JavaScript.
    pub(super) fn request(
        &mut self,
        slot: u32,
        request: http::Request<Incoming>,
    ) -> Result<u32, Answer> {
        let (mut head, body) = request.into_parts();
        let next = self.http(slot).and_then(|http| {
            http.busy = true;
            http.next.take()
        });
        let (target, fields) = match next {
            Some(Next::Request {
                target,
                is_connect,
                fields,
            }) => {
                if is_connect {
                    head.method = http::Method::CONNECT;
                }
                (target, fields)
            }
            Some(Next::Refused(status)) => return Err(Answer::status(slot, status)),
            None => return Err(Answer::status(slot, 400)),
        };
        let Some(connection) = self.slots.get(slot as usize).and_then(Option::as_deref) else {
            return Err(Answer::status(slot, 503));
        };
        let http11 = head.version >= http::Version::HTTP_11;
        let limit = connection
            .server
            .config
            .max_request_body_size
            .load(Ordering::Relaxed);
        if body.size_hint().lower() > limit {
            if let Some(http) = self.http(slot) {
                http.refused = true;
            }
            return Err(Answer::status(slot, 413));
        }
        let field =
            |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let has_body = !body.is_end_stream();
        let closes = head
            .headers
            .get_all(header::CONNECTION)
            .iter()
            .any(|value| {
                let value = value.to_str().unwrap_or_default();
                value
                    .split(',')
                    .any(|token| token.trim().eq_ignore_ascii_case("close"))
            });
        let handshake = match classify(
            head.method.as_str(),
            http11 && !has_body,
            field(&header::UPGRADE),
            field(&header::SEC_WEBSOCKET_KEY),
            field(&header::SEC_WEBSOCKET_VERSION),
        ) {
            Handshake::NotWebSocket => 0,
            Handshake::Accepted => 1,
            Handshake::WrongVersion => 2,
        };
        let routed = connection.server.routes().and_then(|routes| {
            let path = http_guard::path_of(&target);
            let method = head.method.as_str().as_bytes();
            match routes.find(method, path, handshake != 0)? {
                Target::Static(route) => Some(Arc::clone(route)),
                Target::Handler => None,
            }
        });
        // A body whose sender waits for leave to send it is never asked for.
        let rest = (has_body && !head.headers.contains_key(header::EXPECT)).then_some(());
        if let Some(route) = routed {
            self.set_idle(slot, false);
            if let Some(http) = self.http(slot) {
                http.close_after |= !http11 || closes;
                http.leftover = rest.map(|()| body);
            }
            return Err(Answer::fixed(slot, route, head.method, &head.headers));
        }
        let key =
            (handshake == 1).then(|| field(&header::SEC_WEBSOCKET_KEY).unwrap_or_default().into());
        let deflate = if handshake == 1 {
            let options = connection.server.config.deflate();
            extensions(&head.headers).and_then(|offers| options.negotiate(&offers))
        } else {
            None
        };
        let (env, server, shared) = (
            connection.env,
            connection.server.id,
            Arc::clone(&connection.shared),
        );
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let event = RequestHead {
            server,
            slot,
            serial,
            shared,
            method: head.method.as_str().into(),
            target,
            fields,
            handshake,
            deflates: deflate.is_some(),
            flags: u32::from(has_body) | u32::from(!http11) << 1,
        };
        self.envs[env]
            .batch
            .events
            .push(Event::Request(Box::new(event)));
        self.set_idle(slot, false);
        if let Some(phase) = self.http(slot) {
            phase.exchange = Some(Box::new(Exchange {
                serial,
                key,
                deflate,
                is_head: head.method == http::Method::HEAD,
                is_expecting: rest.is_none(),
                response: None,
                answered: false,
                body: has_body.then_some(body),
                received: 0,
                reading: false,
                pieces: VecDeque::new(),
                ended: false,
                cut: false,
                want_writable: false,
            }));
            phase.close_after |= !http11 || closes;
        }
        self.flush_soon();
        Ok(serial)
    }

    /// hyper has let go of the response: the exchange is over.
    pub(super) fn exchange_over(&mut self, slot: u32, serial: u32, complete: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let env = connection.env;
        let Phase::Http(phase) = &mut connection.phase else {
            return;
        };
        if phase
            .exchange
            .as_ref()
            .is_none_or(|exchange| exchange.serial != serial)
        {
            return;
        }
        if let Some(exchange) = phase.exchange.take()
            && !exchange.is_expecting
            && complete
        {
            phase.leftover = exchange.body;
        }
        phase.busy = false;
        connection.timeout = None;
        if phase.behind {
            // hyper waits for the stream to wake it.
            connection.wake();
        }
        connection.named |= !complete;
        self.envs[env].batch.events.push(Event::RequestEnd {
            slot,
            serial,
            aborted: !complete,
        });
        self.set_idle(slot, true);
        self.flush_soon();
    }

    /// A response that was no exchange with JavaScript has been handed over.
    pub(super) fn own_over(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Http(http) = &mut connection.phase {
            http.busy = false;
            if http.behind {
                // hyper waits for the stream to wake it.
                connection.wake();
            }
            self.set_idle(slot, true);
        }
    }

    /// The stream belongs to the WebSocket now.
    fn leave_http(&mut self, slot: u32, read: ReadHalf, early: &[u8]) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let env = connection.env;
        if let Phase::Socket(socket) = &mut connection.phase {
            socket.held = false;
            self.envs[env].port.held.fetch_sub(1, Ordering::Release);
        }
        let gone = writer::flush_outbox(connection).is_err();
        self.after_write(slot, gone);
        if !early.is_empty() {
            self.receive_early(slot, early);
        }
        self.schedule(slot);
        Self::spawn_socket(slot, read);
    }

    /// The connection has ended within HTTP.
    fn end_http(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let shared = Arc::clone(&connection.shared);
        let env = connection.env;
        let stops = connection.server.stopping.load(Ordering::Relaxed);
        match &mut connection.phase {
            Phase::Http(phase) => {
                if let Some(serial) = phase.exchange.as_ref().map(|exchange| exchange.serial) {
                    self.exchange_over(slot, serial, false);
                }
            }
            // It was to become a socket, and the client left first.
            Phase::Socket(socket) => {
                socket.held = false;
                self.envs[env].port.held.fetch_sub(1, Ordering::Release);
                self.end_socket(slot, 1006, "", Farewell::Nothing);
            }
            Phase::Dead => {}
        }
        if stops {
            // What waits for `stop()` has been told when the client notices.
            self.uncount(slot);
            self.post_events(env);
        }
        // JavaScript may hold the stream open for a while: the client is told now.
        let _ = shared.transport().shutdown_write(false);
        self.remove(slot);
    }
}

impl Exchange {
    /// The body is not what the server accepts: say so if nothing was said yet, and end.
    fn refuse(&mut self, status: u16) {
        if !self.answered {
            self.answered = true;
            self.response = Some(Box::new(Response {
                status,
                reason: None,
                lines: Vec::new(),
                body: Some(Bytes::new()),
                close: true,
            }));
        }
    }
}

/// Applies JavaScript's answer, if it is to the exchange at hand.
pub(crate) fn apply(io: &mut IoThread, slot: u32, serial: u32, request: Request) {
    if let Request::Upgrade {
        id,
        lines,
        protocol,
    } = request
    {
        return upgrade(io, slot, serial, id, &lines, protocol.as_deref());
    }
    if let Request::Refuse(response) = request {
        return refuse(io, slot, serial, &response);
    }
    let Some(connection) = io.connection(slot) else {
        return;
    };
    let Phase::Http(phase) = &mut connection.phase else {
        return;
    };
    let Some(exchange) = phase
        .exchange
        .as_deref_mut()
        .filter(|exchange| exchange.serial == serial)
    else {
        return;
    };
    match request {
        Request::Upgrade { .. } | Request::Refuse(_) => {}
        Request::Respond(response) => {
            if exchange.answered {
                return;
            }
            exchange.answered = true;
            if response.close {
                phase.close_after = true;
            }
            exchange.response = Some(response);
        }
        Request::Chunk {
            data,
            want_writable,
        } => {
            exchange.pieces.push_back(data);
            exchange.want_writable |= want_writable;
        }
        Request::End => exchange.ended = true,
        Request::Abort => {
            if exchange.answered {
                exchange.cut = true;
            } else {
                phase.kill = true;
            }
        }
        Request::ReadBody => {
            if exchange.body.is_some() {
                exchange.reading = true;
            } else {
                let env = connection.env;
                io.envs[env].batch.push_body(slot, serial, BodyChunk::End);
                io.flush_soon();
                return;
            }
        }
        Request::CancelBody => exchange.body = None,
        Request::Timeout(seconds) => {
            connection.timeout = Some(seconds);
            let now = io.wheel.now();
            if let Some(connection) = io.connection(slot) {
                connection.active = now;
            }
            io.schedule(slot);
            return;
        }
    }
    if let Some(connection) = io.connection(slot) {
        connection.wake();
    }
}

/// Makes the connection a WebSocket: from here on its frames are queued behind the 101.
fn upgrade(
    io: &mut IoThread,
    slot: u32,
    serial: u32,
    id: u32,
    lines: &[u8],
    protocol: Option<&[u8]>,
) {
    let date = io.date().to_owned();
    let Some(connection) = at(&mut io.slots, slot) else {
        return;
    };
    let env = connection.env;
    let agreed = match &mut connection.phase {
        Phase::Http(phase) => phase
            .exchange
            .take_if(|exchange| exchange.serial == serial)
            .and_then(|exchange| Some((exchange.key?, exchange.deflate))),
        _ => None,
    };
    let Some((key, deflate)) = agreed else {
        // The client has left: its request is over, and the socket never was one. The slot waits for `Release`.
        io.envs[env].batch.push_close(id, 1006, "");
        io.flush_soon();
        return;
    };
    let mut socket = SocketPhase::new(id, deflate);
    let mut head = Vec::with_capacity(256 + lines.len());
    head.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    head.extend_from_slice(lines);
    let _ = write!(
        head,
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        accept_key(&key)
    );
    if let Some(protocol) = protocol {
        head.extend_from_slice(b"Sec-WebSocket-Protocol: ");
        head.extend_from_slice(protocol);
        head.extend_from_slice(b"\r\n");
    }
    if let Some(deflate) = deflate {
        let _ = write!(head, "Sec-WebSocket-Extensions: {}\r\n", deflate.answer());
    }
    if !has_line(lines, b"date:") {
        let _ = write!(head, "Date: {date}\r\n");
    }
    head.extend_from_slice(b"\r\n");
    socket.outbox.push(&head);
    socket.settled -= head.len() as i64;
    connection.phase = Phase::Socket(socket);
    connection.timeout = None;
    io.envs[env].port.held.fetch_add(1, Ordering::Relaxed);
    connection.wake();
}

/// Answers with these lines alone: the stream is taken out of hyper as for an upgrade, and ended.
fn refuse(io: &mut IoThread, slot: u32, serial: u32, response: &Response) {
    let Some(connection) = io.connection(slot) else {
        return;
    };
    let env = connection.env;
    match &connection.phase {
        Phase::Http(phase) if phase.exchange.as_ref().is_some_and(|e| e.serial == serial) => {}
        _ => return,
    }
    io.exchange_over(slot, serial, true);
    io.set_idle(slot, false);
    let status = http::StatusCode::from_u16(response.status).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    head.extend_from_slice(&response.lines);
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    let mut socket = SocketPhase::new(u32::MAX, None);
    socket.outbox.push(&head);
    socket.released = true;
    socket.state = SocketState::Closing {
        fin: false,
        abrupt: false,
    };
    io.envs[env].port.held.fetch_add(1, Ordering::Relaxed);
    if let Some(connection) = io.connection(slot) {
        connection.phase = Phase::Socket(socket);
        connection.wake();
    }
}

/// What extensions are offered, all lines in one.
fn extensions(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let mut all = lines.next()?.to_str().ok()?.to_owned();
    for line in lines {
        all.push(',');
        all.push_str(line.to_str().ok()?);
    }
    Some(all)
}

/// Whether a line of a head begins with this (lower-case) name.
fn has_line(head: &[u8], name: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    })
}
