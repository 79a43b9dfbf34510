//! Field names in the case Bun writes them: `Date`, `Content-Length`, `Transfer-Encoding`; those of the program's own as
//! its `Headers` gives them.
//!
//! hyper writes names in lower case unless it is passing on a message whose case it was told to remember. What it
//! remembers is a private extension of the request; so one request, read from memory when the first response is made,
//! teaches it these names, and its extensions go with every response.

use http::Extensions;
use hyper::body::Incoming;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

/// A message has either a length or a coding, so there are two lessons.
const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nDate: -\r\nContent-Length: 0\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\r\n";
const PIECES: &[u8] =
    b"GET / HTTP/1.1\r\nDate: -\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

/// Lets the response's fields keep the case of the lessons. `whole`: it has a length.
pub(crate) fn teach<B>(response: &mut http::Response<B>, whole: bool) {
    static LEARNT: [OnceLock<Extensions>; 2] = [OnceLock::new(), OnceLock::new()];
    let (cell, lesson) = if whole {
        (&LEARNT[0], WHOLE)
    } else {
        (&LEARNT[1], PIECES)
    };
    let learnt = cell.get_or_init(|| learn(lesson));
    response.extensions_mut().extend(learnt.clone());
}

fn learn(lesson: &'static [u8]) -> Extensions {
    let slot: Mutex<Extensions> = Mutex::default();
    let keep = hyper::service::service_fn(|request: http::Request<Incoming>| {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = request.into_parts().0.extensions;
        std::future::pending::<io::Result<http::Response<String>>>()
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(Lesson { text: Some(lesson) }, keep);
    let _ = Pin::new(&mut connection).poll(&mut Context::from_waker(Waker::noop()));
    drop(connection);
    slot.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A stream that gives the lesson and then nothing.
struct Lesson {
    text: Option<&'static [u8]>,
}

impl hyper::rt::Read for Lesson {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(text) = self.text.take() else {
            return Poll::Pending;
        };
        buf.put_slice(text);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Lesson {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
