//! Responses on their way through hyper: the service it calls, and the body it reads.

use crate::hub::connection::Connection;
use crate::hub::field_case;
use crate::hub::http::Exchange;
use crate::hub::io_thread::{self, IoThread};
use crate::hub::routes::{StaticRoute, parse_fields};
use crate::session::Event;
use crate::session::command::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
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
                from: Source::Exchange(serial),
            },
            Some(Err(answer)) => answer,
            None => Answer::status(slot, 503),
        }
    }
}

/// An answer that is to come, or one that needs no JavaScript.
pub(super) struct Answer {
    slot: u32,
    from: Source,
}

enum Source {
    /// JavaScript, for the exchange with this serial.
    Exchange(u32),
    /// This status, and the end of the connection.
    Status(u16),
    Static(Box<Fixed>),
}

/// A request for a static route.
struct Fixed {
    route: Arc<StaticRoute>,
    method: http::Method,
    /// `If-None-Match`.
    tags: Vec<HeaderValue>,
}

impl Answer {
    pub(super) fn status(slot: u32, status: u16) -> Self {
        let from = Source::Status(status);
        Self { slot, from }
    }

    pub(super) fn fixed(
        slot: u32,
        route: Arc<StaticRoute>,
        method: http::Method,
        headers: &HeaderMap,
    ) -> Self {
        let tags = headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .cloned()
            .collect();
        let from = Source::Static(Box::new(Fixed {
            route,
            method,
            tags,
        }));
        Self { slot, from }
    }
}

impl Future for Answer {
    type Output = io::Result<http::Response<ResponseBody>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = self.slot;
        let serial = match &self.from {
            Source::Exchange(serial) => *serial,
            Source::Status(status) => {
                let mut response = http::Response::new(ResponseBody::own(slot, Bytes::new()));
                *response.status_mut() = http::StatusCode::from_u16(*status).unwrap_or_default();
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                return Poll::Ready(Ok(response));
            }
            // Woken as for an exchange, when the content has become known.
            Source::Static(fixed) => {
                return match fixed.respond(slot) {
                    Some(response) => Poll::Ready(Ok(response)),
                    None => Poll::Pending,
                };
            }
        };
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

impl Fixed {
    fn respond(&self, slot: u32) -> Option<http::Response<ResponseBody>> {
        let content = self.route.content()?;
        let tags = self.tags.iter().map(HeaderValue::as_bytes);
        let is_known = content.is_known(&self.method, tags);
        let status = if is_known {
            http::StatusCode::NOT_MODIFIED
        } else {
            content.status
        };
        let bodiless = is_bodiless(status);
        let body = if bodiless || self.method == http::Method::HEAD {
            Bytes::new()
        } else {
            content.body.clone()
        };
        let mut response = http::Response::new(ResponseBody::own(slot, body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        *headers = content.headers.clone();
        io_thread::with(|io| {
            if let Some(http) = io.http(slot) {
                http.head_due = true;
                http.close_after |= content.close;
            }
            if let Ok(date) = HeaderValue::from_str(io.date()) {
                headers.insert(header::DATE, date);
            }
        });
        if !bodiless {
            headers.insert(header::CONTENT_LENGTH, content.body.len().into());
        }
        field_case::teach(&mut response, true);
        Some(response)
    }
}

/// RFC 9112, 6.3.
fn is_bodiless(status: http::StatusCode) -> bool {
    status.is_informational() || matches!(status.as_u16(), 204 | 304)
}

/// hyper's form of JavaScript's response.
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
    let bodiless = is_bodiless(status);
    let mut headers = parse_fields(&lines);
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
    Own(Bytes),
    Whole(Bytes),
    /// In pieces; how many bytes are still to come, if the head has said how many there are.
    Pieces(Option<u64>),
}

impl ResponseBody {
    fn own(slot: u32, bytes: Bytes) -> Self {
        let kind = Kind::Own(bytes);
        Self {
            slot,
            serial: 0,
            kind,
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
            Kind::Own(bytes) | Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Own(bytes) | Kind::Whole(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
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
            Kind::Own(bytes) | Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Pieces(left) => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own(bytes) | Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Pieces(Some(len)) => SizeHint::with_exact(*len),
            Kind::Pieces(None) => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let (slot, serial) = (self.slot, self.serial);
        match &self.kind {
            Kind::Own(_) => {
                io_thread::with(|io| io.own_over(slot));
            }
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
