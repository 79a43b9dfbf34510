//! Responses on their way through hyper: the service it calls, and the body it reads.

use crate::hub::connection::Connection;
use crate::hub::field_case;
use crate::hub::http::Exchange;
use crate::hub::io_thread::{self, IoThread};
use crate::session::Event;
use crate::session::command::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Hands requests to JavaScript.
pub(super) struct Service {
    pub(super) slot: u32,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<ResponseBody>;
    type Error = io::Error;
    type Future = Answer;

    fn call(&self, request: http::Request<Incoming>) -> Answer {
        let slot = self.slot;
        match io_thread::with(|io| io.request(slot, request)) {
            Some(Ok(serial)) => Answer {
                slot,
                serial,
                ready: None,
            },
            Some(Err(answer)) => answer,
            None => Answer::status(http::StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// An answer that is to come, or one that needs no JavaScript.
pub(super) struct Answer {
    slot: u32,
    serial: u32,
    ready: Option<http::StatusCode>,
}

impl Answer {
    pub(super) fn status(status: http::StatusCode) -> Self {
        Self {
            slot: 0,
            serial: 0,
            ready: Some(status),
        }
    }
}

impl Future for Answer {
    type Output = io::Result<http::Response<ResponseBody>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(status) = self.ready {
            let mut response = http::Response::new(ResponseBody::empty());
            *response.status_mut() = status;
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Poll::Ready(Ok(response));
        }
        let (slot, serial) = (self.slot, self.serial);
        // The task is woken when JavaScript has answered; there is nothing else to register.
        io_thread::with(|io| {
            let Some(exchange) = io
                .exchange(slot)
                .filter(|exchange| exchange.serial == serial)
            else {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            };
            let Some(response) = exchange.response.take() else {
                return Poll::Pending;
            };
            let is_head = exchange.is_head;
            if let Some(http) = io.http(slot) {
                http.head_due = true;
            }
            let date = io.date().to_owned();
            Poll::Ready(Ok(build(slot, serial, is_head, *response, &date)))
        })
        .unwrap_or(Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}

/// hyper's form of JavaScript's response. Fields that cannot be on the wire are left out: the JavaScript side has
/// taken them from a `Headers`, which has checked them.
fn build(
    slot: u32,
    serial: u32,
    is_head: bool,
    response: Response,
    date: &str,
) -> http::Response<ResponseBody> {
    let Response {
        status,
        reason,
        lines,
        body,
        close,
    } = response;
    let status =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let value = line[colon + 1..].trim_ascii();
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..colon]),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    }
    if close {
        headers.remove(header::CONNECTION);
    }
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(date)
    {
        headers.insert(header::DATE, date);
    }
    let kind = match body {
        Some(bytes) => {
            headers.remove(header::CONTENT_LENGTH);
            if !bodiless {
                headers.insert(header::CONTENT_LENGTH, bytes.len().into());
            }
            if is_head || bodiless {
                Kind::Whole(Bytes::new())
            } else {
                Kind::Whole(bytes)
            }
        }
        None if bodiless || is_head => Kind::Whole(Bytes::new()),
        None => Kind::Pieces(
            headers
                .get(header::CONTENT_LENGTH)
                .and_then(|v| v.to_str().ok()?.parse().ok()),
        ),
    };
    let mut out = http::Response::new(ResponseBody { slot, serial, kind });
    *out.status_mut() = status;
    *out.headers_mut() = headers;
    if let Some(reason) = reason
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.as_bytes())
    {
        out.extensions_mut().insert(reason);
    }
    let whole = matches!(out.body().kind, Kind::Whole(_) | Kind::Pieces(Some(_)));
    field_case::teach(&mut out, whole);
    out
}

/// A response's body on its way through hyper. Its end is the exchange's.
pub(super) struct ResponseBody {
    slot: u32,
    serial: u32,
    kind: Kind,
}

enum Kind {
    /// Not of an exchange with JavaScript.
    Own,
    Whole(Bytes),
    /// In pieces; how many bytes are still to come, if the head has said how many there are.
    Pieces(Option<u64>),
}

impl ResponseBody {
    fn empty() -> Self {
        Self {
            slot: 0,
            serial: 0,
            kind: Kind::Own,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match &mut this.kind {
            Kind::Own => Poll::Ready(None),
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Pieces(left) => {
                let piece = io_thread::with(|io| io.next_piece(this.slot, this.serial))
                    .unwrap_or_else(|| Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))));
                if let (Some(left), Poll::Ready(Some(Ok(frame)))) = (left, &piece) {
                    let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                    *left = left.saturating_sub(len);
                }
                piece
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Pieces(left) => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Pieces(Some(len)) => SizeHint::with_exact(*len),
            Kind::Pieces(None) => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let (slot, serial) = (self.slot, self.serial);
        match &self.kind {
            Kind::Own => {}
            Kind::Whole(bytes) => {
                let complete = bytes.is_empty();
                io_thread::with(|io| io.exchange_over(slot, serial, complete));
            }
            Kind::Pieces(left) => {
                let all = *left == Some(0);
                io_thread::with(|io| {
                    let ended = |e: &mut Exchange| {
                        e.serial == serial && (all || e.ended && e.pieces.is_empty())
                    };
                    let complete = io.exchange(slot).is_some_and(ended);
                    io.exchange_over(slot, serial, complete);
                });
            }
        }
    }
}

impl IoThread {
    fn next_piece(&mut self, slot: u32, serial: u32) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(Connection { env, .. }) = self.connection(slot) else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        let env = *env;
        let Some(exchange) = self
            .exchange(slot)
            .filter(|exchange| exchange.serial == serial)
        else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        if exchange.cut {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some(piece) = exchange.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if exchange.ended {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut exchange.want_writable) {
            self.envs[env]
                .batch
                .events
                .push(Event::ResponseWritable { slot, serial });
            self.flush_soon();
        }
        Poll::Pending
    }
}
