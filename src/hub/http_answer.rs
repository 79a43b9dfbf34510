//! Answers to requests: JavaScript's, those of static routes, and refusals.

use crate::hub::connection::{Phase, SocketPhase, at};
use crate::hub::http::{Exchange, Pieces};
use crate::hub::io_thread::IoThread;
use crate::hub::routes::{Content, StaticRoute};
use crate::hub::writer::Source;
use crate::session::Request;
use crate::session::command::Response;
use crate::session::event::BodyChunk;
use crate::wire::response::{
    self, BodyLength, CHUNK_END, CONTINUE, LAST_CHUNK, is_bodiless, put_chunk_size, put_status_line,
};
use crate::wire::{LARGE, RequestHead, accept_key};
use bytes::Bytes;
use std::io::Write as _;
use std::sync::Arc;

/// A request for a static route, as far as the answer depends on it.
#[derive(Debug)]
pub(super) struct Waiting {
    route: Arc<StaticRoute>,
    is_head: bool,
    /// Whether the client may have the content already.
    asks: bool,
    /// The values of `If-None-Match`.
    tags: Vec<Box<[u8]>>,
}

impl IoThread {
    // --- without JavaScript ---

    /// Answers from a static route, now or when its content has become known.
    pub(super) fn answer_static(
        &mut self,
        slot: u32,
        route: Arc<StaticRoute>,
        head: &RequestHead<'_>,
    ) {
        let is_head = head.method() == b"HEAD";
        let asks = is_head || head.method() == b"GET";
        if let Some(content) = route.content() {
            let is_known = asks && content.is_known(head.tags());
            return self.put_content(slot, content, is_head, is_known);
        }
        let waiting = Waiting {
            route,
            is_head,
            asks,
            tags: head.tags().map(Box::from).collect(),
        };
        if let Some(http) = self.http(slot) {
            http.waiting = Some(Box::new(waiting));
            self.set_idle(slot, false);
        }
    }

    /// Answers the request that waits for the content of its route. Returns whether that is known.
    pub(super) fn answer_waiting(&mut self, slot: u32) -> bool {
        let Some(http) = self.http(slot) else {
            return false;
        };
        let is_ready = |waiting: &mut Box<Waiting>| waiting.route.content().is_some();
        let Some(waiting) = http.waiting.take_if(is_ready) else {
            return false;
        };
        if let Some(content) = waiting.route.content() {
            let mut tags = waiting.tags.iter().map(|tag| &**tag);
            let is_known = waiting.asks && content.is_known(&mut tags);
            self.put_content(slot, content, waiting.is_head, is_known);
        }
        true
    }

    fn put_content(&mut self, slot: u32, content: &Content, is_head: bool, is_known: bool) {
        self.refresh_date();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        if let Phase::Http(http) = &mut connection.phase {
            http.close_after |= content.close;
        }
        let local = &mut self.round.local;
        let start = local.len();
        let body = content.put_head(local, &self.date.1, is_known);
        let body = if is_head { &Bytes::new() } else { body };
        self.put(slot, start, body);
    }

    /// A status, and the end of the connection.
    pub(super) fn put_refusal(&mut self, slot: u32, status: u16) {
        let local = &mut self.round.local;
        let start = local.len();
        put_status_line(local, status, None);
        local.extend_from_slice(b"Connection: close\r\nContent-Length: 0\r\n\r\n");
        self.put(slot, start, &Bytes::new());
    }

    // --- for JavaScript ---

    fn exchange(&mut self, slot: u32, serial: u32) -> Option<&mut Exchange> {
        let exchange = self.http(slot)?.exchange.as_deref_mut()?;
        (exchange.serial == serial).then_some(exchange)
    }

    fn respond(&mut self, slot: u32, serial: u32, answer: &Response) {
        self.refresh_date();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        let Some(exchange) = http.exchange.as_deref_mut() else {
            return;
        };
        if exchange.serial != serial || exchange.answered {
            return;
        }
        exchange.answered = true;
        http.close_after |= answer.close;
        let status = answer.status;
        let bodiless = is_bodiless(status);
        let length = match &answer.body {
            _ if bodiless => BodyLength::None,
            Some(body) => BodyLength::Known(body.len() as u64),
            None if exchange.is_head || exchange.is_old => BodyLength::None,
            None => BodyLength::Open,
        };
        let local = &mut self.round.local;
        let start = local.len();
        put_status_line(local, status, answer.reason.as_deref());
        let mut fields = response::put_fields(local, &answer.lines);
        if bodiless && (status != 304 || answer.body.is_some()) {
            fields.length = None;
        }
        let said = response::put_end(local, fields, &self.date.1, length);
        exchange.pieces = match said {
            Some(length) => Pieces::Length(length),
            None if exchange.is_old => Pieces::UntilClose,
            None => Pieces::Chunked,
        };
        exchange.is_done = answer.body.is_some() || bodiless || exchange.is_head || said == Some(0);
        let body = match &answer.body {
            Some(body) if !bodiless && !exchange.is_head => body,
            _ => &Bytes::new(),
        };
        self.put(slot, start, body);
    }

    /// A piece of an answer.
    fn respond_chunk(&mut self, slot: u32, serial: u32, data: &Bytes, want_writable: bool) {
        let Some(exchange) = self.exchange(slot, serial) else {
            return;
        };
        if !exchange.answered || exchange.is_done {
            return;
        }
        exchange.want_writable |= want_writable;
        let mut data = data.clone();
        let is_chunked = exchange.pieces == Pieces::Chunked;
        if let Pieces::Length(left) = &mut exchange.pieces {
            // No more than was announced: the next answer would begin with the rest.
            data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= data.len() as u64;
            exchange.is_done = *left == 0;
        }
        let start = self.round.local.len();
        if is_chunked && !data.is_empty() {
            put_chunk_size(&mut self.round.local, data.len());
        }
        self.put(slot, start, &data);
        if is_chunked && !data.is_empty() {
            let start = self.round.local.len();
            self.round.local.extend_from_slice(CHUNK_END);
            self.put(slot, start, &Bytes::new());
        }
    }

    fn respond_end(&mut self, slot: u32, serial: u32) {
        let Some(exchange) = self.exchange(slot, serial) else {
            return;
        };
        if !exchange.answered || exchange.is_done {
            return;
        }
        let last = match exchange.pieces {
            // Less than was announced: only the end of the connection says so.
            Pieces::Length(_) => return self.cut(slot),
            Pieces::Chunked => LAST_CHUNK,
            // It is to end anyway.
            Pieces::UntilClose => &[],
        };
        exchange.is_done = true;
        let start = self.round.local.len();
        self.round.local.extend_from_slice(last);
        self.put(slot, start, &Bytes::new());
    }

    /// The answer cannot be completed.
    fn cut(&mut self, slot: u32) {
        if let Some(http) = self.http(slot) {
            http.kill = true;
        }
        if let Some(connection) = self.connection(slot) {
            connection.wake();
        }
    }

    /// What the round's own buffer holds from `start` on is for this connection, and so is `body`.
    fn put(&mut self, slot: u32, start: usize, body: &Bytes) {
        if body.len() < LARGE {
            self.round.local.extend_from_slice(body);
        }
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let out = &mut connection.out;
        let len = (self.round.local.len() - start) as u32;
        if len > 0 {
            self.round
                .add(slot, out, Source::Local, start as u32, len, &[]);
        }
        if body.len() >= LARGE {
            let large = Source::Large(self.round.keep(body.clone()));
            self.round.add(slot, out, large, 0, body.len() as u32, &[]);
        } else if len == 0 {
            // Nothing to write; what waits for a write to be over is told so all the same.
            self.round.dirty.push(slot);
        }
        self.flush_soon();
    }

    /// Makes the connection a WebSocket: from here on its frames are queued behind the 101.
    fn upgrade(&mut self, slot: u32, serial: u32, id: u32, lines: &[u8], protocol: Option<&[u8]>) {
        self.refresh_date();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let agreed = match &mut connection.phase {
            Phase::Http(http) => http
                .exchange
                .take_if(|exchange| exchange.serial == serial)
                .and_then(|exchange| Some((exchange.key?, exchange.deflate))),
            _ => None,
        };
        let Some((key, deflate)) = agreed else {
            // The client has left: its request is over, and the socket never was one. The slot waits for `Release`.
            let env = connection.env;
            self.envs[env].batch.push_close(id, 1006, "");
            self.flush_soon();
            return;
        };
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
        if !has_date(lines) {
            response::put_date(&mut head, &self.date.1);
        }
        head.extend_from_slice(b"\r\n");
        connection.out.outbox.push(&head);
        connection.out.settled = -(head.len() as i64);
        self.round.dirty.push(slot);
        self.leave_http(slot, SocketPhase::new(id, deflate));
    }

    /// Answers with these lines alone, and ends the connection.
    fn refuse_upgrade(&mut self, slot: u32, serial: u32, answer: &Response) {
        let Some(http) = self.http(slot) else { return };
        let Some(exchange) = http.exchange.as_deref_mut() else {
            return;
        };
        if exchange.serial != serial || exchange.answered {
            return;
        }
        exchange.answered = true;
        exchange.is_done = true;
        http.close_after = true;
        http.refused = true;
        let local = &mut self.round.local;
        let start = local.len();
        put_status_line(local, answer.status, None);
        response::put_fields(local, &answer.lines);
        local.extend_from_slice(b"Connection: close\r\n\r\n");
        self.put(slot, start, &Bytes::new());
    }

    /// JavaScript wants a piece of the body.
    fn read_request_body(&mut self, slot: u32, serial: u32) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        let (is_complete, is_refused) = (http.is_body_complete(), http.refused);
        let Some(exchange) = http.exchange.as_deref_mut() else {
            return;
        };
        if exchange.serial != serial {
            return;
        }
        if !http.content.is_empty() || is_complete || is_refused {
            let chunk = if !http.content.is_empty() {
                BodyChunk::Data(std::mem::take(&mut http.content).into())
            } else if is_complete {
                BodyChunk::End
            } else {
                BodyChunk::Failed
            };
            self.envs[connection.env]
                .batch
                .push_body(slot, serial, chunk);
            self.flush_soon();
            return;
        }
        exchange.reading = true;
        let leave = std::mem::take(&mut exchange.is_expecting) && !exchange.answered;
        connection.wake();
        if leave {
            let start = self.round.local.len();
            self.round.local.extend_from_slice(CONTINUE);
            self.put(slot, start, &Bytes::new());
        }
    }
}

/// Applies what JavaScript wants of an exchange, if it is the one at hand.
pub(crate) fn apply(io: &mut IoThread, slot: u32, serial: u32, request: Request) {
    match request {
        Request::Upgrade {
            id,
            lines,
            protocol,
        } => io.upgrade(slot, serial, id, &lines, protocol.as_deref()),
        Request::Refuse(response) => io.refuse_upgrade(slot, serial, &response),
        Request::Respond(response) => io.respond(slot, serial, &response),
        Request::Chunk {
            data,
            want_writable,
        } => io.respond_chunk(slot, serial, &data, want_writable),
        Request::End => io.respond_end(slot, serial),
        Request::Abort => {
            if io.exchange(slot, serial).is_some_and(|e| !e.is_done) {
                io.cut(slot);
            }
        }
        Request::ReadBody => io.read_request_body(slot, serial),
        Request::CancelBody => {
            // The rest of it is read, and dropped, when the answer is out.
            if let Some(exchange) = io.exchange(slot, serial) {
                exchange.reading = false;
                if let Some(http) = io.http(slot) {
                    http.content = Vec::new();
                }
            }
        }
        Request::Timeout(seconds) => {
            let now = io.wheel.now();
            if io.exchange(slot, serial).is_some()
                && let Some(connection) = io.connection(slot)
            {
                connection.timeout = Some(seconds);
                connection.active = now;
                io.schedule(slot);
            }
        }
    }
}

/// Whether a line of a head is a `Date`.
fn has_date(head: &[u8]) -> bool {
    const NAME: &[u8] = b"date:";
    head.split(|byte| *byte == b'\n').any(|line| {
        line.get(..NAME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(NAME))
    })
}
