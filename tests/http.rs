//! HTTP until the 101, over real sockets, with a client of plain bytes.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use bytes::Bytes;
use ferrows::session::{Command, Request};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use support::client::{RawClient, handshake};
use support::{Host, Piece, Seen, Served, until};

/// More than the kernel takes for a client that reads nothing.
const HUGE: usize = 24 << 20;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn close_idle(host: &Host, served: &Served) {
    let id = served.server.id;
    host.run(move |js| js.tell_all(|| Command::CloseIdle { server: id }));
}

/// What the program read of a request's body, and whether it came to its end.
fn read_body(host: &Host, of: u32) -> (Vec<u8>, Piece) {
    let mut body = Vec::new();
    for n in 0.. {
        host.run(move |js| js.answer(of, Request::ReadBody));
        let piece = host.wait(|seen| {
            let mut pieces = seen.iter().filter_map(|event| match event {
                Seen::Body { rid, piece } if *rid == of => Some(piece.clone()),
                _ => None,
            });
            pieces.nth(n)
        });
        match piece {
            Piece::Data(data) => body.extend(data),
            end => return (body, end),
        }
    }
    unreachable!("a body ends")
}

// --- requests and responses ---

#[test]
fn keeps_a_connection_alive_between_requests() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    for target in ["/a", "/b?c=d", "/%20"] {
        client.send(get(target));
        let (head, body) = client.response();
        assert_eq!(head.status, 200);
        assert_eq!(body, format!("GET {target}").as_bytes());
        assert_eq!(head.field("content-type"), Some("text/plain"));
        assert!(head.field("date").is_some());
        assert_eq!(head.field("connection"), None);
    }
    host.wait_count(3, |seen| {
        matches!(seen, Seen::RequestEnd { aborted: false, .. })
    });
    host.finish(&served);
}

#[test]
fn gives_the_program_the_request_as_it_was_sent() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(b"PATCH /x?y HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nX-Latin: \xe9\r\nx-two: 2\r\n\r\n");
    let (method, target, fields, flags) = host.wait_for(|seen| match seen {
        Seen::Request {
            method,
            target,
            fields,
            flags,
            ..
        } => Some((method.clone(), target.clone(), fields.clone(), *flags)),
        _ => None,
    });
    assert_eq!((&*method, &*target, flags), ("PATCH", "/x?y", 0));
    let mut lines: Vec<&str> = fields.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["host: h", "x-latin: é", "x-two: 1", "x-two: 2"]);
    host.finish(&served);
}

#[test]
fn answers_head_with_the_length_and_without_the_body() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), Some("7"));
    // The next response begins right behind it.
    client.send(get("/next"));
    assert_eq!(client.response().1, b"GET /next");
    host.finish(&served);
}

#[test]
fn sends_no_length_where_there_is_no_body() {
    for status in [204, 304] {
        let host = Host::start(Box::new(move |js, seen| {
            if let Seen::Request { rid, .. } = seen {
                js.respond(*rid, status, "", b"ignored");
            }
        }));
        let served = host.serve(|_| {});
        let mut client = RawClient::connect(served.address);
        for _ in 0..2 {
            client.send(get("/"));
            let head = client.head();
            assert_eq!(head.status, status);
            assert_eq!(head.field("content-length"), None);
            assert_eq!(head.field("transfer-encoding"), None);
        }
        host.finish(&served);
    }
}

#[test]
fn ends_the_connection_behind_a_response_that_says_so() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond_with(rid, 200, "", Some(Bytes::from_static(b"last")), true));
    assert_eq!(client.response().1, b"last");
    assert_eq!(client.take_all(), b"");
    assert!(!host.wait_end(rid));
    host.finish(&served);
}

#[test]
fn ends_the_connection_of_a_client_that_asks_for_it() {
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ] {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = RawClient::connect(served.address);
        client.send(request);
        assert_eq!(client.response().1, b"GET /", "{request}");
        assert_eq!(client.take_all(), b"", "{request}");
        host.finish(&served);
    }
}

#[test]
fn answers_pipelined_requests_in_order() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    let all: String = (0..5).map(|n| get(&format!("/{n}"))).collect();
    client.send(all);
    for n in 0..5 {
        let (rid, target) = host.wait_request(n);
        assert_eq!(target, format!("/{n}"));
        let asked = host.seen();
        let asked = asked.iter().filter(|s| matches!(s, Seen::Request { .. }));
        assert_eq!(asked.count(), n + 1, "one request at a time");
        host.run(move |js| js.respond(rid, 200, "", target.as_bytes()));
        assert_eq!(client.response().1, format!("/{n}").as_bytes());
    }
    host.finish(&served);
}

// --- bodies ---

#[test]
fn reads_bodies_with_a_length_and_chunked_ones() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    let body: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    client.send(format!(
        "POST /0 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(&body[..100_000]);
    let (rid, _) = host.wait_request(0);
    let rest = body[100_000..].to_vec();
    let mut stream = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &rest).unwrap());
    assert_eq!(read_body(&host, rid), (body.clone(), Piece::End));
    sender.join().unwrap();
    host.run(move |js| js.respond(rid, 200, "", b"one"));
    assert_eq!(client.response().1, b"one");

    client.send("POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5\r\nhello\r\n1;name=value\r\n \r\n");
    let (rid, _) = host.wait_request(1);
    client.send("5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n");
    assert_eq!(read_body(&host, rid), (b"hello world".to_vec(), Piece::End));
    host.run(move |js| js.respond(rid, 200, "", b"two"));
    assert_eq!(client.response().1, b"two");
    let flags: Vec<u32> = host
        .seen()
        .iter()
        .filter_map(|seen| match seen {
            Seen::Request { flags, .. } => Some(flags & 1),
            _ => None,
        })
        .collect();
    assert_eq!(flags, [1, 1]);
    host.finish(&served);
}

#[test]
fn a_body_that_nobody_reads_holds_nothing_up() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().1, b"POST /a");
    client.send(get("/b"));
    assert_eq!(client.response().1, b"GET /b");
    host.finish(&served);
}

#[test]
fn tells_that_a_body_was_cut_short() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.answer(rid, Request::ReadBody));
    host.wait_for(|seen| matches!(seen, Seen::Body { .. }).then_some(()));
    host.run(move |js| js.answer(rid, Request::ReadBody));
    drop(client);
    assert!(host.wait_end(rid));
    host.finish(&served);
}

#[test]
fn streams_a_response_in_chunks() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond_with(rid, 200, "X-Kind: stream\r\n", None, false));
    let head = client.head();
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    assert_eq!(head.field("x-kind"), Some("stream"));
    // Each piece is on the wire before the next is made.
    for piece in ["one", "three"] {
        host.run(move |js| js.chunk(rid, piece.as_bytes(), false));
        let expected = format!("{:X}\r\n{piece}\r\n", piece.len());
        let got = client.take(expected.len());
        assert!(got.eq_ignore_ascii_case(expected.as_bytes()));
    }
    host.run(move |js| js.answer(rid, Request::End));
    assert_eq!(client.take(5), b"0\r\n\r\n");
    assert!(!host.wait_end(rid));
    // The connection goes on.
    client.send(get("/next"));
    let (rid, _) = host.wait_request(1);
    host.run(move |js| js.respond(rid, 200, "", b"next"));
    assert_eq!(client.response().1, b"next");
    host.finish(&served);
}

#[test]
fn streams_to_a_client_that_knows_of_no_chunks() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (rid, _) = host.wait_request(0);
    host.run(move |js| {
        js.respond_with(rid, 200, "", None, false);
        js.chunk(rid, b"abc", false);
    });
    let head = client.head();
    assert_eq!(head.field("transfer-encoding"), None);
    assert_eq!(head.field("content-length"), None);
    assert_eq!(client.take(3), b"abc");
    host.run(move |js| {
        js.chunk(rid, b"def", false);
        js.answer(rid, Request::End);
    });
    assert_eq!(client.take_all(), b"def");
    assert!(!host.wait_end(rid), "all of it got through");
    host.finish(&served);
}

#[test]
fn cuts_the_connection_when_less_comes_than_was_announced() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| {
        js.respond_with(rid, 200, "Content-Length: 6\r\n", None, false);
        js.chunk(rid, b"abc", false);
    });
    client.head();
    assert_eq!(client.take(3), b"abc");
    host.run(move |js| js.answer(rid, Request::End));
    assert_eq!(client.take_all(), b"");
    assert!(host.wait_end(rid), "it did not get through");
    host.finish(&served);
}

#[test]
fn streams_a_response_of_known_length() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| {
        js.respond_with(rid, 200, "Content-Length: 6\r\n", None, false);
        js.chunk(rid, b"abc", false);
    });
    let head = client.head();
    assert_eq!(head.field("content-length"), Some("6"));
    assert_eq!(head.field("transfer-encoding"), None);
    assert_eq!(client.take(3), b"abc");
    host.run(move |js| js.chunk(rid, b"def", false));
    assert_eq!(client.take(3), b"def");
    host.run(move |js| js.answer(rid, Request::End));
    assert!(!host.wait_end(rid), "all of it got through");
    host.finish(&served);
}

#[test]
fn cuts_the_connection_when_a_response_cannot_be_completed() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| {
        js.respond_with(rid, 200, "", None, false);
        js.chunk(rid, b"abc", false);
    });
    client.head();
    assert_eq!(client.take(8), b"3\r\nabc\r\n");
    host.run(move |js| js.answer(rid, Request::Abort));
    assert_eq!(client.ended(), b"", "no last chunk");
    assert!(host.wait_end(rid));
    host.finish(&served);
}

#[test]
fn says_when_a_slow_client_has_taken_a_streams_pieces() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| {
        js.respond_with(rid, 200, "", None, false);
        for _ in 0..HUGE >> 20 {
            js.chunk(rid, &vec![b'x'; 1 << 20], true);
        }
    });
    let writable = |seen: &Seen| *seen == Seen::Writable { rid };
    // The kernel does not take all of it, so the program is not asked for more.
    client.head();
    assert!(!host.seen().iter().any(writable));
    for _ in 0..HUGE >> 20 {
        assert_eq!(client.take_to(b"\r\n"), b"100000\r\n");
        client.take((1 << 20) + 2);
    }
    host.wait_count(1, writable);
    host.run(move |js| js.answer(rid, Request::End));
    assert_eq!(client.take(5), b"0\r\n\r\n");
    assert!(!host.wait_end(rid));
    host.finish(&served);
}

#[test]
fn asks_for_the_body_of_a_client_that_waits_for_it() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.answer(rid, Request::ReadBody));
    assert_eq!(
        client.take_to(b"\r\n\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("body");
    let data = host.wait_for(|seen| match seen {
        Seen::Body { piece, .. } => Some(piece.clone()),
        _ => None,
    });
    assert_eq!(data, Piece::Data(b"body".to_vec()));
    host.run(move |js| js.respond(rid, 200, "", b"thanks"));
    assert_eq!(client.response().1, b"thanks");
    host.finish(&served);
}

// --- what is refused ---

#[test]
fn refuses_heads_that_are_too_large() {
    let field = |len: usize| format!("X: {}\r\n", "y".repeat(len));
    let many = |count: usize| "A: b\r\n".repeat(count);
    for (fields, status) in [
        (field(15 << 10), 200),
        (field(17 << 10), 431),
        (many(150), 200),
        (many(250), 431),
    ] {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = RawClient::connect(served.address);
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        assert_eq!(client.head().status, status);
        if status == 431 {
            client.ended();
        }
        host.finish(&served);
    }
}

#[test]
fn refuses_malformed_requests() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "no request at all\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let host = Host::passive();
        let served = host.serve(|_| {});
        let mut client = RawClient::connect(served.address);
        client.send(request);
        assert_eq!(client.head().status, 400, "{request}");
        client.ended();
        assert!(host.seen().is_empty(), "{request}: {:?}", host.seen());
        host.finish(&served);
    }
}

#[test]
fn refuses_bodies_over_the_limit_and_takes_those_at_it() {
    let host = Host::passive();
    let served = host.serve(|config| config.max_request_body_size.store(10, Ordering::Relaxed));
    let mut client = RawClient::connect(served.address);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(client.response().0.status, 413);
    assert_eq!(client.ended(), b"");
    assert!(host.seen().is_empty(), "not the program's business");

    let mut client = RawClient::connect(served.address);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789");
    let (rid, _) = host.wait_request(0);
    assert_eq!(read_body(&host, rid), (b"0123456789".to_vec(), Piece::End));
    host.run(move |js| js.respond(rid, 200, "", b"all"));
    assert_eq!(client.response().1, b"all");

    // A chunked body says its length only as it comes.
    client
        .send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n");
    let (rid, _) = host.wait_request(1);
    host.run(move |js| js.answer(rid, Request::ReadBody));
    host.wait_for(|seen| match seen {
        Seen::Body { rid: of, piece } => (*of == rid && *piece != Piece::End).then_some(()),
        _ => None,
    });
    client.send("3\r\n890\r\n0\r\n\r\n");
    host.run(move |js| js.answer(rid, Request::ReadBody));
    host.wait_for(|seen| {
        let failed = Seen::Body {
            rid,
            piece: Piece::Failed,
        };
        (*seen == failed).then_some(())
    });
    assert_eq!(client.response().0.status, 413);
    client.ended();
    host.wait_end(rid);
    host.finish(&served);
}

#[test]
fn tells_a_handshake_of_another_version_from_a_good_one() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let good = handshake("/", "");
    for (n, (request, expected)) in [
        (good.clone(), 1),
        (good.replace("Version: 13", "Version: 8"), 2),
        (good.replace("GET", "POST"), 0),
        (get("/"), 0),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = RawClient::connect(served.address);
        client.send(request);
        let (rid, _) = host.wait_request(n);
        let handshake = host.wait_for(|seen| match seen {
            Seen::Request {
                rid: of, handshake, ..
            } if *of == rid => Some(*handshake),
            _ => None,
        });
        assert_eq!(handshake, expected);
        host.run(move |js| js.respond(rid, 200, "", b"no"));
        assert_eq!(client.response().1, b"no");
    }
    host.finish(&served);
}

// --- the end of connections ---

#[test]
fn tells_the_program_that_its_client_has_left() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    for (n, reset) in [false, true].into_iter().enumerate() {
        let mut client = RawClient::connect(served.address);
        client.send(get("/"));
        let (rid, _) = host.wait_request(n);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        assert!(host.wait_end(rid));
        // An answer that comes too late does no harm.
        host.run(move |js| js.respond(rid, 200, "", b"late"));
    }
    host.finish(&served);
}

#[test]
fn stopping_ends_idle_connections_and_lets_pending_requests_finish() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut idle = RawClient::connect(served.address);
    idle.send(get("/idle"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond(rid, 200, "", b""));
    idle.response();
    let mut pending = RawClient::connect(served.address);
    pending.send(get("/pending"));
    let (rid, _) = host.wait_request(1);
    assert_eq!(served.server.idle.load(Ordering::Relaxed), 1);

    host.stop(&served, false);
    assert!(TcpStream::connect(served.address).is_err(), "still listens");
    assert_eq!(idle.take_all(), b"");
    host.run(move |js| js.respond(rid, 200, "", b"done"));
    assert_eq!(pending.response().1, b"done");
    assert_eq!(pending.take_all(), b"");
    assert!(!host.wait_end(rid));
    host.wait_gone(&served);
}

#[test]
fn stopping_by_force_ends_pending_requests_too() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.stop(&served, true);
    assert_eq!(client.take_all(), b"", "FIN, without a response");
    assert!(host.wait_end(rid));
    host.wait_gone(&served);
}

#[test]
fn stopping_does_not_cut_a_response_that_a_slow_client_has_still_to_read() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond(rid, 200, "", &vec![b'x'; HUGE]));
    let head = client.head();
    assert_eq!(head.field("content-length"), Some(&*HUGE.to_string()));
    host.stop(&served, false);
    assert_eq!(client.take_all().len(), HUGE);
    host.wait_gone(&served);
}

#[test]
fn closing_idle_connections_spares_the_others() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut idle = RawClient::connect(served.address);
    idle.send(get("/idle"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond(rid, 200, "", b""));
    idle.response();
    let mut pending = RawClient::connect(served.address);
    pending.send(get("/pending"));
    let (rid, _) = host.wait_request(1);
    close_idle(&host, &served);
    assert_eq!(idle.take_all(), b"");
    host.run(move |js| js.respond(rid, 200, "", b"done"));
    assert_eq!(pending.response().1, b"done");
    // It stays alive, and the server accepts.
    pending.send(get("/again"));
    let (rid, _) = host.wait_request(2);
    host.run(move |js| js.respond(rid, 200, "", b"again"));
    assert_eq!(pending.response().1, b"again");
    drop(TcpStream::connect(served.address).unwrap());
    host.finish(&served);
}

#[test]
fn closing_idle_connections_does_not_cut_a_response_on_its_way() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.respond(rid, 200, "", &vec![b'x'; HUGE]));
    client.head();
    close_idle(&host, &served);
    assert_eq!(client.take(HUGE).len(), HUGE);
    host.finish(&served);
}

/// A connection that one I/O thread hands to another is on its way for a moment: stopping must find it there too.
#[test]
fn stopping_finds_connections_that_have_just_been_accepted() {
    for round in 0..60 {
        let host = Host::passive();
        let served = host.serve(|config| config.http_idle_timeout.store(0, Ordering::Relaxed));
        let address = served.address;
        let clients = std::thread::spawn(move || {
            let mut open = Vec::new();
            while let Ok(stream) = TcpStream::connect(address) {
                open.push(stream);
                if open.len() > 400 {
                    break;
                }
            }
            open
        });
        until("some connections", || {
            served.server.idle.load(Ordering::Relaxed) > round % 16
        });
        host.stop(&served, true);
        // Nobody closes on the client's side, and nothing times out.
        let open = clients.join().unwrap();
        host.wait_gone(&served);
        drop(open);
    }
}

#[test]
fn a_silent_connection_ends_with_or_without_a_request() {
    let host = Host::passive();
    let served = host.serve(|config| config.http_idle_timeout.store(1, Ordering::Relaxed));
    let mut silent = RawClient::connect(served.address);
    let mut half = RawClient::connect(served.address);
    half.send("GET / HT");
    let mut pending = RawClient::connect(served.address);
    pending.send(get("/"));
    let (rid, _) = host.wait_request(0);
    for client in [&mut silent, &mut half, &mut pending] {
        assert_eq!(client.take_all(), b"", "FIN, without a response");
    }
    assert!(host.wait_end(rid));
    host.finish(&served);
}

#[test]
fn a_request_can_have_a_timeout_of_its_own() {
    let host = Host::passive();
    let served = host.serve(|config| config.http_idle_timeout.store(0, Ordering::Relaxed));
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    let (rid, _) = host.wait_request(0);
    host.run(move |js| js.answer(rid, Request::Timeout(1)));
    assert_eq!(client.take_all(), b"");
    assert!(host.wait_end(rid));

    // And none, where the server has one: it outlives one that has the server's.
    served
        .server
        .config
        .http_idle_timeout
        .store(1, Ordering::Relaxed);
    let mut patient = RawClient::connect(served.address);
    patient.send(get("/"));
    let (rid, _) = host.wait_request(1);
    host.run(move |js| js.answer(rid, Request::Timeout(0)));
    let mut other = RawClient::connect(served.address);
    other.send(get("/"));
    let (short, _) = host.wait_request(2);
    assert!(host.wait_end(short));
    host.run(move |js| js.respond(rid, 200, "", b"at last"));
    assert_eq!(patient.response().1, b"at last");
    host.finish(&served);
}
