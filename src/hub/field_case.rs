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

const LESSON: &[u8] =
    b"GET / HTTP/1.1\r\nDate: -\r\nContent-Length: 0\r\nTransfer-Encoding: -\r\nConnection: close\r\n\r\n";

/// Lets the response's fields keep the case of the lesson.
pub(crate) fn teach<B>(response: &mut http::Response<B>) {
    static LEARNT: OnceLock<Extensions> = OnceLock::new();
    let learnt = LEARNT.get_or_init(learn);
    response.extensions_mut().extend(learnt.clone());
}

fn learn() -> Extensions {
    let slot: Mutex<Extensions> = Mutex::default();
    let keep = hyper::service::service_fn(|request: http::Request<Incoming>| {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = request.into_parts().0.extensions;
        std::future::pending::<io::Result<http::Response<String>>>()
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(Lesson { read: false }, keep);
    let _ = Pin::new(&mut connection).poll(&mut Context::from_waker(Waker::noop()));
    drop(connection);
    slot.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A stream that gives the lesson and then nothing.
struct Lesson {
    read: bool,
}

impl hyper::rt::Read for Lesson {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::replace(&mut self.read, true) {
            return Poll::Pending;
        }
        buf.put_slice(LESSON);
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
