//! Heads that arrive slower than a client may take for them. The only test in its file: it moves the clock of all I/O
//! threads of the process.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::client::RawClient;
use support::{Host, Served, pool};

/// Seconds that pass between two looks at a connection.
const STEP: u32 = 20;

#[test]
fn a_head_has_a_minute_where_the_idle_timeout_is_longer_or_none() {
    let host = Host::echo();
    let serve = |idle| host.serve(|config| config.http_idle_timeout.store(idle, Ordering::Relaxed));
    let short = serve(30);
    let patient = [serve(0), serve(255)];

    // Half a head behind a request, which says by its answer that both have been read.
    let begin = |served: &Served| {
        let mut client = RawClient::connect(served.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nX: ");
        assert_eq!(client.response().1, b"GET /");
        client
    };
    let mut hurried = begin(&short);
    let mut late = patient.each_ref().map(begin);
    let mut in_time = patient.each_ref().map(begin);
    pool().skip_seconds(2 * STEP);
    for client in &mut in_time {
        client.send("x\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().1, b"GET /slow");
    }
    // No sign of life.
    for client in &mut late {
        client.send("x");
    }
    assert!(ends_within(&mut hurried, 30 + STEP));
    for client in &mut late {
        assert!(ends_within(client, 60 + STEP));
    }

    // The minute was for the head.
    pool().skip_seconds(4 * STEP);
    for client in &mut in_time {
        client.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().1, b"GET /again");
    }
    for served in [&short, &patient[0], &patient[1]] {
        host.finish(served);
    }
}

/// Whether the server ends the connection before so many seconds have passed.
fn ends_within(client: &mut RawClient, seconds: u32) -> bool {
    let stream = &mut client.stream;
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    for _ in 0..seconds.div_ceil(STEP) {
        pool().skip_seconds(STEP);
        match stream.read(&mut [0]) {
            Ok(0) => return true,
            Ok(_) => panic!("an answer to half a head"),
            // The last of it had not been read.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return true,
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "{error}"
            ),
        }
    }
    false
}
