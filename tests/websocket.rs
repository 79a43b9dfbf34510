//! `WebSocket`s over real sockets: `tokio-tungstenite` as a client that is not ours, and plain bytes for what it would
//! not send.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use ferrows::hub::Server;
use ferrows::session::{Command, MessageKind};
use ferrows::wire::Opcode;
use futures_util::{SinkExt, StreamExt};
use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use support::client::{ACCEPT, RawClient, close_frame, frame, handshake, masked};
use support::random::Random;
use support::{Host, PATIENCE, Seen, Sent, Served, pool, until};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr) -> Client {
    let config = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    let url = format!("ws://{address}/");
    let (client, _) = connect_async_with_config(url, Some(config), true)
        .await
        .unwrap();
    client
}

/// The next message, within patience.
async fn next(client: &mut Client) -> Message {
    tokio::time::timeout(PATIENCE, client.next())
        .await
        .expect("a message in time")
        .expect("a message, not the end")
        .unwrap()
}

fn close_of(message: Message) -> (u16, String) {
    match message {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        Message::Close(None) => (1005, String::new()),
        other => panic!("not a close frame: {other:?}"),
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

fn text(len: usize) -> String {
    "text, ä and € ".chars().cycle().take(len).collect()
}

// --- messages ---

#[tokio::test]
async fn echoes_text_and_binary_of_every_size() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = connect(served.address).await;
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 300_000] {
        client.send(Message::binary(bytes(len))).await.unwrap();
        assert_eq!(
            next(&mut client).await,
            Message::binary(bytes(len)),
            "{len}"
        );
        client.send(Message::text(text(len))).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text(text(len)), "{len}");
        let ascii = "a".repeat(len);
        client.send(Message::text(ascii.clone())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text(ascii), "{len}");
    }
    client.close(None).await.unwrap();
    host.finish(&served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoes_messages_as_large_as_they_may_be() {
    const LARGEST: usize = 16 << 20;
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = connect(served.address).await;
    client.send(Message::binary(bytes(LARGEST))).await.unwrap();
    assert!(next(&mut client).await == Message::binary(bytes(LARGEST)));
    let ascii = "x".repeat(LARGEST);
    client.send(Message::text(ascii.clone())).await.unwrap();
    assert!(next(&mut client).await == Message::text(ascii));
    host.finish(&served);
}

#[tokio::test]
async fn joins_fragments_with_control_frames_between_them() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = connect(served.address).await;
    let fragment = |data: &[u8], opcode, last| {
        Message::Frame(Frame::message(data.to_vec(), OpCode::Data(opcode), last))
    };
    // A character's bytes are divided between fragments, one of which is empty.
    for message in [
        fragment(b"one \xe2", Data::Text, false),
        Message::Ping(b"between".to_vec().into()),
        fragment(b"", Data::Continue, false),
        fragment(b"\x82\xac two", Data::Continue, true),
        fragment(&bytes(70_000), Data::Binary, false),
        fragment(&bytes(70_000), Data::Continue, true),
    ] {
        client.send(message).await.unwrap();
    }
    assert_eq!(
        next(&mut client).await,
        Message::Pong(b"between".to_vec().into())
    );
    assert_eq!(next(&mut client).await, Message::text("one € two"));
    let both = [bytes(70_000), bytes(70_000)].concat();
    assert_eq!(next(&mut client).await, Message::binary(both));
    host.finish(&served);
}

#[test]
fn any_split_of_the_bytes_gives_the_same_messages() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut stream = frame(0x1, "héllo".as_bytes());
    stream.extend(masked(0x02, b"ab"));
    stream.extend(frame(0x9, b"p"));
    stream.extend(masked(0x80, &bytes(130)));
    stream.extend(frame(0x2, b""));
    let mut random = Random::new(1);
    for _ in 0..20 {
        let mut client = RawClient::upgraded(served.address);
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(12)));
            client.send(piece);
            rest = behind;
        }
        // Where the pong stands depends on what was read together; among the messages it does not matter.
        let mut frames: Vec<_> = (0..4).map(|_| client.frame()).collect();
        let pong = frames.iter().position(|f| f.first == 0x8a).unwrap();
        assert_eq!(frames.remove(pong).payload, b"p");
        let both = [b"ab", &bytes(130)[..]].concat();
        let expected: [(u8, &[u8]); 3] = [(0x81, "héllo".as_bytes()), (0x82, &both), (0x82, b"")];
        for (frame, (first, payload)) in frames.iter().zip(expected) {
            assert_eq!((frame.first, &frame.payload[..]), (first, payload));
        }
    }
    host.finish(&served);
}

#[tokio::test]
async fn pings_and_pongs_go_both_ways() {
    let host = Host::echo();
    let served = host.serve(|config| {
        config.wants_pings.store(true, Ordering::Relaxed);
        config.wants_pongs.store(true, Ordering::Relaxed);
    });
    let mut client = connect(served.address).await;
    for payload in [vec![], bytes(125)] {
        let ping = Message::Ping(payload.clone().into());
        client.send(ping).await.unwrap();
        assert_eq!(
            next(&mut client).await,
            Message::Pong(payload.clone().into())
        );
        host.wait_for(|seen| match seen {
            Seen::Message {
                kind: MessageKind::Ping,
                payload: got,
                ..
            } => (*got == payload).then_some(()),
            _ => None,
        });
    }
    let id = host.wait_open();
    host.run(move |js| js.send(id, Opcode::Ping, b"are you there"));
    assert_eq!(
        next(&mut client).await,
        Message::Ping(b"are you there".to_vec().into())
    );
    // The client answers by itself with the next thing it writes.
    client.flush().await.unwrap();
    host.wait_for(|seen| match seen {
        Seen::Message {
            kind: MessageKind::Pong,
            payload,
            ..
        } => (payload == b"are you there").then_some(()),
        _ => None,
    });
    host.finish(&served);
}

#[test]
fn a_pong_does_not_overtake_the_answers_to_messages_before_its_ping() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    let mut all = Vec::new();
    for n in 0..50u8 {
        all.extend(frame(0x2, &[n]));
        all.extend(frame(0x9, &[n]));
    }
    client.send(all);
    for n in 0..50u8 {
        for first in [0x82, 0x8a] {
            let frame = client.frame();
            assert_eq!((frame.first, &frame.payload[..]), (first, &[n][..]));
        }
    }
    host.finish(&served);
}

// --- the opening handshake ---

#[tokio::test]
async fn the_101_carries_the_subprotocol_and_the_programs_headers() {
    let host = Host::start(Box::new(|js, seen| {
        if let Seen::Request { rid, .. } = seen {
            let id = js.upgrade(*rid, "Set-Cookie: a=b\r\nX-Own: yes\r\n", Some("chat"));
            js.send(id, Opcode::Text, b"from open");
        }
    }));
    let served = host.serve(|_| {});
    let mut request = format!("ws://{}/path?query", served.address)
        .into_client_request()
        .unwrap();
    let protocols = "chat, superchat".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols);
    let (mut client, response) = connect_async_with_config(request, None, true)
        .await
        .unwrap();
    let field = |name| response.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(field("sec-websocket-protocol"), "chat");
    assert_eq!(field("set-cookie"), "a=b");
    assert_eq!(field("x-own"), "yes");
    assert!(httpdate_like(field("date")));
    assert_eq!(next(&mut client).await, Message::text("from open"));
    assert_eq!(host.wait_request(0).1, "/path?query");
    host.finish(&served);
}

fn httpdate_like(date: &str) -> bool {
    date.len() == 29 && date.ends_with(" GMT")
}

#[test]
fn the_101_is_exact() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(handshake("/", ""));
    let head = client.head();
    assert_eq!(head.status, 101);
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("connection"), Some("Upgrade"));
    assert_eq!(head.field("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(head.field("sec-websocket-protocol"), None);
    assert_eq!(head.field("sec-websocket-extensions"), None);
    assert_eq!(head.field("content-length"), None);
    host.finish(&served);
}

#[test]
fn frames_behind_the_handshake_are_not_lost() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    let mut all = handshake("/", "").into_bytes();
    all.extend(frame(0x1, b"early"));
    all.extend(frame(0x1, b"cut in two"));
    let (now, later) = all.split_at(all.len() - 4);
    client.send(now);
    assert_eq!(client.head().status, 101);
    assert_eq!(client.frame().payload, b"early");
    client.send(later);
    assert_eq!(client.frame().payload, b"cut in two");
    host.finish(&served);
}

#[test]
fn frames_that_come_while_the_handshake_is_being_answered_are_not_lost() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send(handshake("/", ""));
    let (rid, _) = host.wait_request(0);
    // More than is read before the answer.
    let count = 2000;
    let mut stream = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for n in 0..count {
            stream.write_all(&frame(0x2, &bytes(n % 300))).unwrap();
        }
    });
    host.run(move |js| js.upgrade(rid, "", None));
    sender.join().unwrap();
    host.wait_count(count, |seen| matches!(seen, Seen::Message { .. }));
    let lens: Vec<usize> = host
        .seen()
        .iter()
        .filter_map(|seen| match seen {
            Seen::Message { payload, .. } => Some(payload.len()),
            _ => None,
        })
        .collect();
    assert!(lens.iter().enumerate().all(|(n, len)| *len == n % 300));
    host.finish(&served);
}

#[test]
fn a_request_before_the_handshake_does_no_harm() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    let mut all = String::from("GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
    all.push_str(&handshake("/second", ""));
    client.send(all);
    assert_eq!(client.response().1, b"GET /first");
    assert_eq!(client.head().status, 101);
    client.send(frame(0x1, b"x"));
    assert_eq!(client.frame().payload, b"x");
    host.finish(&served);
}

#[test]
fn a_handshake_behind_a_response_that_is_still_being_written_waits_for_it() {
    const HUGE: usize = 24 << 20;
    let host = Host::start(Box::new(|js, seen| match seen {
        Seen::Request {
            rid, handshake: 0, ..
        } => js.respond(*rid, 200, "", &vec![b'x'; HUGE]),
        seen => support::echo(js, seen),
    }));
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    let mut all = String::from("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    all.push_str(&handshake("/", ""));
    client.send(all);
    assert_eq!(client.response().1.len(), HUGE);
    assert_eq!(client.head().status, 101);
    client.send(frame(0x1, b"x"));
    assert_eq!(client.frame().payload, b"x");
    host.finish(&served);
}

// --- the closing handshake ---

#[tokio::test]
async fn a_client_closes_and_gets_its_frame_back() {
    for (frame, code, reason) in [
        (Some((1000, "bye")), 1000, "bye"),
        (Some((4001, "ä€😀")), 4001, "ä€😀"),
        (Some((1011, "")), 1011, ""),
        (None, 1005, ""),
    ] {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = connect(served.address).await;
        let frame = frame.map(|(code, reason)| CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        });
        client.close(frame).await.unwrap();
        assert_eq!(close_of(next(&mut client).await), (code, reason.into()));
        assert!(
            client.next().await.is_none(),
            "nothing behind the close frame"
        );
        assert_eq!(host.wait_close(), (code, reason.into()));
        host.finish(&served);
    }
}

#[tokio::test]
async fn the_program_closes() {
    for (code, reason, expected) in [
        (1000, "done", (1000, "done")),
        (4999, "", (4999, "")),
        (0, "", (1005, "")),
    ] {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = connect(served.address).await;
        let id = host.wait_open();
        host.run(move |js| {
            js.send(id, Opcode::Text, b"last words");
            js.close(id, code, reason);
        });
        assert_eq!(next(&mut client).await, Message::text("last words"));
        let (code, reason) = expected;
        assert_eq!(close_of(next(&mut client).await), (code, reason.into()));
        host.wait_for(|seen| (*seen == Seen::Gone { id }).then_some(()));
        assert!(client.next().await.is_none());
        host.finish(&served);
    }
}

#[test]
fn terminating_sends_no_close_frame() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    let id = host.wait_open();
    host.run(move |js| {
        js.send(id, Opcode::Text, b"taken at once");
        js.terminate(id);
    });
    assert_eq!(client.frame().payload, b"taken at once");
    assert_eq!(client.take_all(), b"");
    host.wait_for(|seen| (*seen == Seen::Gone { id }).then_some(()));
    host.finish(&served);
}

#[test]
fn closes_that_cross_are_one_close() {
    let mut random = Random::new(2);
    let host = Host::echo();
    let served = host.serve(|_| {});
    let rounds = 50;
    for _ in 0..rounds {
        let known = host.seen().len();
        let mut client = RawClient::upgraded(served.address);
        let id = host.wait(|seen| {
            seen[known..].iter().find_map(|seen| match seen {
                Seen::Open { id } => Some(*id),
                _ => None,
            })
        });
        let abrupt = random.below(3) == 0;
        if random.below(2) == 0 {
            client.send(close_frame(1000, "mine"));
        }
        host.run(move |js| {
            if abrupt {
                js.terminate(id);
            } else {
                js.close(id, 1001, "ours");
            }
        });
        client.ended();
        host.wait_for(|seen| match seen {
            Seen::Gone { id: of } | Seen::Close { id: of, .. } => (*of == id).then_some(()),
            _ => None,
        });
    }
    let ends = host.seen();
    let ends = ends
        .iter()
        .filter(|seen| matches!(seen, Seen::Gone { .. } | Seen::Close { .. }));
    assert_eq!(ends.count(), rounds);
    host.finish(&served);
}

#[test]
fn messages_in_front_of_a_close_or_fin_are_handled_first() {
    for closes in [true, false] {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = RawClient::upgraded(served.address);
        let mut all = frame(0x1, b"first");
        if closes {
            all.extend(close_frame(1000, ""));
            all.extend(frame(0x1, b"after the end"));
        }
        client.send(all);
        client.finish_sending();
        assert_eq!(client.frame().payload, b"first");
        if closes {
            assert_eq!(client.closed(), (1000, String::new()));
        } else {
            assert_eq!(client.take_all(), b"");
        }
        let code = if closes { 1000 } else { 1006 };
        assert_eq!(host.wait_close(), (code, String::new()));
        host.wait_count(1, |seen| matches!(seen, Seen::Message { .. }));
        host.finish(&served);
    }
}

// --- what breaks the protocol ---

#[test]
fn answers_a_violation_with_its_code_and_tells_the_program_why() {
    let unmasked = vec![0x81, 1, b'x'];
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (unmasked, 1002, "Received an incorrectly masked frame"),
        (masked(0xc1, b"x"), 1002, "Received unexpected RSV1 bit"),
        (
            masked(0xa1, b"x"),
            1002,
            "Received unexpected RSV2 or RSV3 bit",
        ),
        (
            masked(0x91, b"x"),
            1002,
            "Received unexpected RSV2 or RSV3 bit",
        ),
        (masked(0x83, b"x"), 1002, "Received invalid opcode"),
        (masked(0x8f, b"x"), 1002, "Received invalid opcode"),
        (masked(0x09, b""), 1002, "Received fragmented control frame"),
        (
            frame(0x9, &bytes(126)),
            1002,
            "Received too big control frame",
        ),
        (
            frame(0x0, b"x"),
            1002,
            "Received continuation frame outside a fragmented message",
        ),
        (
            [masked(0x01, b"x"), frame(0x1, b"y")].concat(),
            1002,
            "Received new message inside a fragmented message",
        ),
        (frame(0x8, b"\x03"), 1002, "Received invalid close payload"),
        (close_frame(1005, ""), 1002, "Received invalid close code"),
        (close_frame(999, ""), 1002, "Received invalid close code"),
        (frame(0x8, b"\x03\xe8\xff"), 1007, "Received invalid UTF-8"),
        (frame(0x1, b"\xff"), 1007, "Received invalid UTF-8"),
        (frame(0x1, b"\xed\xa0\x80"), 1007, "Received invalid UTF-8"),
        (
            [masked(0x01, b"\xe2"), frame(0x0, b"x")].concat(),
            1007,
            "Received invalid UTF-8",
        ),
        // The top bit of a 64-bit length.
        (
            [&[0x82, 0xff, 0x80][..], &[0; 11]].concat(),
            1009,
            "Received too big message",
        ),
    ];
    for (input, code, reason) in cases {
        let host = Host::echo();
        let served = host.serve(|_| {});
        let mut client = RawClient::upgraded(served.address);
        client.send(frame(0x1, b"fine"));
        client.send(&input);
        client.send(frame(0x1, b"too late"));
        assert_eq!(client.frame().payload, b"fine");
        assert_eq!(client.closed(), (code, reason.into()), "{input:02x?}");
        assert_eq!(host.wait_close(), (1006, reason.into()), "{input:02x?}");
        host.finish(&served);
    }
}

#[test]
fn fails_text_as_soon_as_a_byte_is_wrong() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    // The front of a frame of 1000 bytes; the rest never comes.
    let whole = frame(0x1, &[&b"good \xff"[..], &[b'x'; 994]].concat());
    client.send(&whole[..8 + 6]);
    assert_eq!(client.closed().0, 1007);
    assert_eq!(host.wait_close(), (1006, "Received invalid UTF-8".into()));
    host.finish(&served);
}

#[test]
fn takes_messages_up_to_max_payload_length() {
    let too_big = (1009, String::from("Received too big message"));
    for fragments in [1, 2] {
        let host = Host::echo();
        let served = host.serve(|config| config.max_payload_length.store(1000, Ordering::Relaxed));
        let message = |len: usize| {
            if fragments == 1 {
                return frame(0x2, &bytes(len));
            }
            let (front, back) = bytes(len).split_at(600).map_both();
            [masked(0x02, &front), frame(0x0, &back)].concat()
        };
        let mut client = RawClient::upgraded(served.address);
        for len in [999, 1000] {
            client.send(message(len));
            assert_eq!(client.frame().payload, bytes(len));
        }
        client.send(message(1001));
        assert_eq!(client.closed(), too_big);
        assert_eq!(host.wait_close(), (1006, too_big.1.clone()));

        // A new limit holds for the next message of an open socket.
        let mut client = RawClient::upgraded(served.address);
        client.send(message(1000));
        client.frame();
        served
            .server
            .config
            .max_payload_length
            .store(999, Ordering::Relaxed);
        client.send(message(1000));
        assert_eq!(client.closed(), too_big);
        host.finish(&served);
    }
}

trait MapBoth {
    fn map_both(self) -> (Vec<u8>, Vec<u8>);
}

impl MapBoth for (&[u8], &[u8]) {
    fn map_both(self) -> (Vec<u8>, Vec<u8>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

#[test]
fn a_claim_of_a_length_is_enough_to_refuse_it() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    let header = frame(0x2, &bytes((16 << 20) + 1));
    client.send(&header[..14]);
    assert_eq!(client.closed().0, 1009);
    host.finish(&served);
}

// --- many ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_many_clients_from_all_threads() {
    const CLIENTS: usize = 60;
    const MESSAGES: usize = 40;
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(served.address).await);
    }
    assert_eq!(threads(&host), pool().len());
    let talks = clients.into_iter().enumerate().map(|(n, mut client)| {
        tokio::spawn(async move {
            let mut random = Random::new(n as u64);
            let mut sent = Vec::new();
            for _ in 0..MESSAGES {
                let message = if random.below(2) == 0 {
                    Message::binary(bytes(random.below(3000)))
                } else {
                    Message::text(text(random.below(3000)))
                };
                client.feed(message.clone()).await.unwrap();
                sent.push(message);
            }
            client.flush().await.unwrap();
            for message in sent {
                assert!(next(&mut client).await == message);
            }
        })
    });
    for talk in talks.collect::<Vec<_>>() {
        talk.await.unwrap();
    }
    host.finish(&served);
}

/// They are all accepted in one turn of the listener's thread.
#[test]
fn clients_that_come_at_once_are_spread_over_the_threads() {
    const CLIENTS: usize = 60;
    let host = Host::echo();
    let mut clients = Vec::new();
    let served = host.serve_after(
        |_| {},
        |address| clients.extend((0..CLIENTS).map(|_| RawClient::connect(address))),
    );
    for client in &mut clients {
        client.send(handshake("/", ""));
        assert_eq!(client.head().status, 101);
    }
    assert_eq!(threads(&host), pool().len());
    host.finish(&served);
}

/// How many threads the program's sockets are on.
fn threads(host: &Host) -> usize {
    host.run(|js| {
        let threads: HashSet<usize> = js.sockets.values().map(|s| s.thread).collect();
        threads.len()
    })
}

/// What each receiver gets is what a model with plain lists says, in its order.
#[test]
fn sends_and_publishes_keep_their_order_for_every_receiver() {
    const RECEIVERS: usize = 9;
    const TOPICS: u32 = 4;
    for seed in 0..4 {
        let host = Host::echo();
        let served = host.serve(|config| config.backpressure_limit.store(0, Ordering::Relaxed));
        let clients: Vec<_> = (0..RECEIVERS)
            .map(|_| RawClient::upgraded(served.address))
            .collect();
        let readers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                std::thread::spawn(move || {
                    let mut got = Vec::new();
                    loop {
                        let frame = client.frame();
                        if frame.payload == b"end" {
                            return got;
                        }
                        got.push(frame.payload);
                    }
                })
            })
            .collect();
        let mut ids = host.run(|js| js.open_sockets().collect::<Vec<u32>>());
        ids.sort_unstable();
        // Which reader has which socket shows in what it is sent first.
        let (expected, sockets) = (publish_at_random(&host, seed, &ids, TOPICS), ids);
        let mut got: Vec<Vec<Vec<u8>>> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        got.sort_by_key(|messages| messages[0].clone());
        assert_eq!(got.len(), sockets.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got.len(), expected.len(), "seed {seed}");
            for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
                assert!(got == expected, "seed {seed}: message {at} differs");
            }
        }
        host.finish(&served);
    }
}

/// Gives commands at random; returns what each socket should get.
fn publish_at_random(host: &Host, seed: u64, ids: &[u32], topics: u32) -> Vec<Vec<Vec<u8>>> {
    let mut random = Random::new(seed);
    let ids = ids.to_vec();
    let mut expected = vec![Vec::new(); ids.len()];
    let mut members = vec![HashSet::new(); topics as usize];
    for (at, id) in ids.iter().copied().enumerate() {
        let name = format!("socket {at:03}").into_bytes();
        expected[at].push(name.clone());
        host.run(move |js| js.send(id, Opcode::Binary, &name));
    }
    for turn in 0..60 {
        type Step = Box<dyn FnOnce(&mut support::Js) + Send>;
        let mut steps: Vec<Step> = Vec::new();
        for n in 0..=random.below(30) {
            let at = random.below(ids.len());
            let id = ids[at];
            let topic = random.below(topics as usize);
            let members = &mut members[topic];
            let topic = topic as u32;
            let mut payload = format!("{turn}.{n} ").into_bytes();
            // Now and then one that travels in a buffer of its own.
            let len = if random.below(40) == 0 {
                70_000
            } else {
                random.below(200)
            };
            payload.extend(bytes(len));
            match random.below(8) {
                0 | 1 => {
                    members.insert(at);
                    steps.push(Box::new(move |js| js.subscribe(id, topic)));
                }
                2 => {
                    members.remove(&at);
                    steps.push(Box::new(move |js| js.unsubscribe(id, topic)));
                }
                3 | 4 => {
                    expected[at].push(payload.clone());
                    steps.push(Box::new(move |js| {
                        js.send(id, Opcode::Binary, &payload);
                    }));
                }
                choice => {
                    let except = (choice == 5).then_some(at);
                    for member in members.iter().filter(|m| Some(**m) != except) {
                        expected[*member].push(payload.clone());
                    }
                    let except = except.map(|at| ids[at]);
                    steps.push(Box::new(move |js| {
                        js.publish(topic, except, Opcode::Binary, &payload);
                    }));
                }
            }
        }
        host.run(move |js| {
            for step in steps {
                step(js);
            }
        });
    }
    host.run(move |js| {
        for id in ids {
            js.send(id, Opcode::Binary, b"end");
        }
    });
    expected
}

#[test]
fn a_topic_without_a_socket_that_left_goes_on() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut stays = RawClient::upgraded(served.address);
    let mut leaves = RawClient::upgraded(served.address);
    host.wait_count(2, |seen| matches!(seen, Seen::Open { .. }));
    host.run(|js| {
        for id in js.open_sockets().collect::<Vec<_>>() {
            js.subscribe(id, 7);
        }
        js.publish(7, None, Opcode::Text, b"both");
    });
    assert_eq!(stays.frame().payload, b"both");
    assert_eq!(leaves.frame().payload, b"both");
    leaves.send(close_frame(1000, ""));
    leaves.closed();
    host.wait_close();
    // Whoever takes its place is no member.
    let mut new = RawClient::upgraded(served.address);
    host.run(|js| js.publish(7, None, Opcode::Text, b"one"));
    assert_eq!(stays.frame().payload, b"one");
    new.send(frame(0x1, b"own"));
    assert_eq!(new.frame().payload, b"own");
    host.finish(&served);
}

// --- backpressure ---

const LIMIT: u64 = 1 << 20;

/// Sends to a client that reads nothing until the queue is over its limit. Returns how many frames were accepted.
fn fill(host: &Host, id: u32, payload: &[u8]) -> usize {
    let payload = payload.to_vec();
    let (accepted, outcomes) = host.run(move |js| {
        let mut outcomes = Vec::new();
        let mut accepted = 0;
        loop {
            let sent = js.send(id, Opcode::Binary, &payload);
            if outcomes.last() != Some(&sent) {
                outcomes.push(sent);
            }
            if sent == Sent::Dropped {
                return (accepted, outcomes);
            }
            accepted += 1;
            js.hand_over();
        }
    });
    assert_eq!(outcomes, [Sent::Free, Sent::Queued, Sent::Dropped]);
    accepted
}

fn limited(host: &Host, close: bool) -> Served {
    host.serve(|config| {
        config.backpressure_limit.store(LIMIT, Ordering::Relaxed);
        config
            .close_on_backpressure_limit
            .store(close, Ordering::Relaxed);
        config.wants_drains.store(true, Ordering::Relaxed);
    })
}

#[test]
fn a_slow_reader_fills_its_queue_and_drains_it() {
    // Small frames go by way of the I/O thread, large ones directly.
    for size in [1000, 100_000] {
        let host = Host::echo();
        let served = limited(&host, false);
        let mut client = RawClient::upgraded(served.address);
        let id = host.wait_open();
        let accepted = fill(&host, id, &bytes(size));
        let (blocked, waiting) = host.run(move |js| {
            let socket = &js.sockets[&id];
            (socket.shared.is_blocked(), socket.waiting())
        });
        assert!(blocked);
        assert!(waiting > LIMIT, "{waiting}");
        assert!(waiting < 2 * LIMIT + size as u64, "{waiting}");
        assert_eq!(host.port.blocked_ids(), Some(vec![id]));
        let drained = |seen: &Seen| *seen == Seen::Drain { id };
        assert!(!host.seen().iter().any(drained));

        for _ in 0..accepted {
            assert!(client.frame().payload == bytes(size));
        }
        host.wait_count(1, drained);
        host.run(move |js| {
            assert!(!js.sockets[&id].shared.is_blocked());
            assert_eq!(js.sockets[&id].waiting(), 0);
            assert_eq!(js.send(id, Opcode::Binary, b"again"), Sent::Free);
        });
        assert_eq!(host.port.blocked_ids(), None);
        assert_eq!(client.frame().payload, b"again");
        assert_eq!(host.seen().iter().filter(|seen| drained(seen)).count(), 1);
        host.finish(&served);
    }
}

#[test]
fn a_socket_over_its_limit_is_closed_where_the_server_says_so() {
    let host = Host::echo();
    let served = limited(&host, true);
    let mut client = RawClient::upgraded(served.address);
    let id = host.wait_open();
    fill(&host, id, &bytes(1000));
    assert_eq!(host.wait_close(), (1006, String::new()));
    until("it no longer counts as blocked", || {
        !host.port.has_blocked()
    });
    // The queue is gone: the end may come within a frame, and is no close frame.
    let rest = client.take_all();
    let last = rest.chunks(1004).next_back().unwrap();
    assert_eq!(last[0], 0x82);
    host.finish(&served);
}

/// Reads messages that are all `payload`, up to one that says "end"; how many they were.
fn count_until_end(client: &mut RawClient, payload: &[u8]) -> usize {
    let mut count = 0;
    loop {
        let received = client.frame().payload;
        if received == b"end" {
            return count;
        }
        assert!(received == payload);
        count += 1;
    }
}

/// Beyond the window of a client that does not read, and of the queue that the kernel has for it.
#[test]
fn leaving_waits_for_what_is_queued_here() {
    leave_behind(100, 100_000, |blocked| blocked);
}

/// Beyond the window alone: nothing waits here.
#[cfg(target_os = "linux")]
#[test]
fn leaving_waits_for_what_the_kernel_has_not_sent() {
    leave_behind(300, 1000, |blocked| !blocked);
}

fn leave_behind(count: usize, size: usize, is_as_meant: fn(bool) -> bool) {
    let host = Host::echo();
    let served = host.serve(|_| {});
    assert!(host.run(|js| js.port.leave(pool(), PATIENCE)));
    let mut client = RawClient::upgraded(served.address);
    let id = host.wait_open();
    let (blocked, left) = host.run(move |js| {
        for _ in 0..count {
            js.send(id, Opcode::Binary, &bytes(size));
            js.hand_over();
        }
        js.port.settle(js.sockets[&id].thread, PATIENCE);
        let blocked = js.sockets[&id].shared.is_blocked();
        (blocked, js.port.leave(pool(), Duration::from_millis(20)))
    });
    assert!(is_as_meant(blocked));
    assert!(!left);
    let reader = std::thread::spawn(move || {
        assert_eq!(count_until_end(&mut client, &bytes(size)), count);
        client
    });
    assert!(host.run(move |js| {
        js.send(id, Opcode::Text, b"end");
        js.hand_over();
        js.port.leave(pool(), PATIENCE)
    }));
    let _client = reader.join().unwrap();
    host.finish(&served);
}

#[test]
fn a_slow_subscriber_does_not_hold_up_the_others() {
    for close in [false, true] {
        let host = Host::echo();
        let served = limited(&host, close);
        let mut slow = RawClient::upgraded(served.address);
        let slow_id = host.wait_open();
        let mut quick = RawClient::upgraded(served.address);
        host.wait_count(2, |seen| matches!(seen, Seen::Open { .. }));
        host.run(|js| {
            for id in js.open_sockets().collect::<Vec<_>>() {
                js.subscribe(id, 1);
            }
        });
        let count = 2000;
        let reader = std::thread::spawn(move || {
            for _ in 0..count {
                assert!(quick.frame().payload == bytes(10_000));
            }
            quick
        });
        for _ in 0..count / 20 {
            // No more at once than the limit, or the quick one would be over it too.
            host.run(|js| {
                for _ in 0..20 {
                    js.publish(1, None, Opcode::Binary, &bytes(10_000));
                }
                for thread in 0..pool().len() {
                    js.hand_over();
                    js.port.settle(thread, PATIENCE);
                }
            });
            until("the quick one keeps up", || {
                let blocked = host.port.blocked_ids().unwrap_or_default();
                blocked.iter().all(|id| *id == slow_id)
            });
        }
        let _quick = reader.join().unwrap();
        if close {
            assert_eq!(host.wait_close(), (1006, String::new()));
            slow.take_all();
        } else {
            // It lost some, whole ones, and is a subscriber like the others again.
            let reader = std::thread::spawn(move || count_until_end(&mut slow, &bytes(10_000)));
            host.wait_count(1, |seen| *seen == Seen::Drain { id: slow_id });
            host.run(|js| js.publish(1, None, Opcode::Text, b"end"));
            let got = reader.join().unwrap();
            assert!((200..count).contains(&got), "{got}");
        }
        host.finish(&served);
    }
}

#[test]
fn messages_published_in_a_row_stop_at_the_limit() {
    let host = Host::echo();
    let served = limited(&host, false);
    let mut slow = RawClient::upgraded(served.address);
    let id = host.wait_open();
    host.run(move |js| {
        js.subscribe(id, 1);
        while !js.sockets[&id].shared.is_blocked() {
            js.send(id, Opcode::Binary, &bytes(1000));
            js.hand_over();
        }
    });
    // Far more than the limit, and than the kernel may have room for again.
    let waiting = host.run(move |js| {
        for _ in 0..20_000 {
            js.publish(1, None, Opcode::Binary, &bytes(1000));
        }
        for thread in 0..pool().len() {
            js.hand_over();
            js.port.settle(thread, PATIENCE);
        }
        js.sockets[&id].waiting()
    });
    assert!(waiting <= LIMIT + 1004, "{waiting}");
    let reader = std::thread::spawn(move || count_until_end(&mut slow, &bytes(1000)));
    host.wait_count(1, |seen| *seen == Seen::Drain { id });
    host.run(|js| js.publish(1, None, Opcode::Text, b"end"));
    reader.join().unwrap();
    host.finish(&served);
}

#[test]
fn closing_under_backpressure_still_delivers_what_was_queued() {
    // By the program and by the client.
    for ours in [true, false] {
        let host = Host::echo();
        let served = limited(&host, false);
        let mut client = RawClient::upgraded(served.address);
        let id = host.wait_open();
        let accepted = fill(&host, id, &bytes(1000));
        if ours {
            host.run(move |js| js.close(id, 4000, "done"));
            host.wait_for(|seen| (*seen == Seen::Gone { id }).then_some(()));
        } else {
            client.send(close_frame(4000, "done"));
            assert_eq!(host.wait_close(), (4000, "done".into()));
        }
        until("it no longer counts as blocked", || {
            !host.port.has_blocked()
        });
        for _ in 0..accepted {
            assert!(client.frame().payload == bytes(1000));
        }
        assert_eq!(client.closed(), (4000, "done".into()));
        host.finish(&served);
    }
}

/// A program that takes no events makes its clients wait, and not the process grow.
#[test]
fn a_program_that_is_busy_is_not_flooded() {
    const SIZE: usize = 8 << 10;
    const COUNT: usize = 12_000;
    let host = Host::start(Box::new(|js, seen| {
        if let Seen::Request { .. } = seen {
            support::echo(js, seen);
        }
    }));
    let served = host.serve(|_| {});
    let client = RawClient::upgraded(served.address);
    let id = host.wait_open();
    let thread = host.run(move |js| js.sockets[&id].thread);
    let busy = host.block();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut stream = client.stream.try_clone().unwrap();
    let sender = {
        let sent = Arc::clone(&sent);
        std::thread::spawn(move || {
            let mut payload = bytes(SIZE);
            for n in 0..COUNT {
                payload[..8].copy_from_slice(&n.to_be_bytes());
                stream.write_all(&frame(0x2, &payload)).unwrap();
                sent.store(n + 1, Ordering::Relaxed);
            }
        })
    };
    until("the I/O thread has enough", || host.port.is_full(thread));
    // Now the kernel's buffers fill up, and the client stands still.
    let mut last = (usize::MAX, Instant::now());
    until("the client waits", || {
        let now = sent.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(300)
    });
    let held = last.0 * SIZE;
    assert!(held < 40 << 20, "{held} bytes were read or waited for");
    // A program that wakes up gets all of it, in order.
    drop(busy);
    sender.join().unwrap();
    host.wait_count(COUNT, |seen| matches!(seen, Seen::Message { .. }));
    let numbers: Vec<usize> = host
        .seen()
        .iter()
        .filter_map(|seen| match seen {
            Seen::Message { payload, .. } => {
                Some(usize::from_be_bytes(payload[..8].try_into().unwrap()))
            }
            _ => None,
        })
        .collect();
    assert!(numbers.iter().copied().eq(0..COUNT));
    host.finish(&served);
}

#[test]
fn a_paused_socket_is_not_read() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    let id = host.wait_open();
    host.run(move |js| {
        js.command(id, |slot| Command::Pause { slot });
        js.hand_over();
        js.port.settle(js.sockets[&id].thread, PATIENCE);
    });
    client.send(frame(0x1, b"while paused"));
    // What is sent still leaves, and others are served meanwhile.
    host.run(move |js| js.send(id, Opcode::Text, b"out"));
    assert_eq!(client.frame().payload, b"out");
    let mut other = RawClient::upgraded(served.address);
    other.send(frame(0x1, b"other"));
    assert_eq!(other.frame().payload, b"other");
    let early = host
        .seen()
        .iter()
        .any(|seen| matches!(seen, Seen::Message { payload, .. } if payload == b"while paused"));
    assert!(!early);
    host.run(move |js| js.command(id, |slot| Command::Resume { slot }));
    assert_eq!(client.frame().payload, b"while paused");
    host.finish(&served);
}

/// On a host that loses wake-ups they are repeated, at a rate that does not depend on how much arrives.
#[test]
fn a_busy_program_is_not_woken_for_every_message() {
    const MESSAGES: u64 = 2000;
    let host = Host::start_on(Box::new(support::echo), true);
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    host.wait_open();
    let busy = host.block();
    let before = host.wakes();
    let start = Instant::now();
    for _ in 0..MESSAGES {
        client.send(frame(0x1, b"x"));
        // As a client that has other things to do: each message is a read of its own.
        std::thread::yield_now();
    }
    until("the wake-up is repeated", || host.wakes() > before + 8);
    // One series of repetitions for each I/O thread: 2, 4, 8 ... 64 ms apart.
    let series = pool().len() as u64;
    let allowed = series * (8 + start.elapsed().as_millis() as u64 / 64);
    let woken = host.wakes() - before;
    assert!(
        woken <= allowed,
        "woken {woken} times, {allowed} were enough"
    );
    drop(busy);
    for _ in 0..MESSAGES {
        client.frame();
    }
    host.finish(&served);
}

// --- time ---

#[test]
fn a_silent_socket_ends() {
    let host = Host::echo();
    let served = host.serve(|config| {
        config.idle_timeout.store(1, Ordering::Relaxed);
        config.send_pings.store(false, Ordering::Relaxed);
    });
    let mut client = RawClient::upgraded(served.address);
    assert_eq!(client.take_all(), b"", "FIN, without a close frame");
    let reason = "WebSocket timed out from inactivity";
    assert_eq!(host.wait_close(), (1006, reason.into()));
    host.finish(&served);
}

#[test]
fn a_new_idle_timeout_holds_for_open_sockets() {
    let host = Host::echo();
    let served = host.serve(|config| {
        config.http_idle_timeout.store(0, Ordering::Relaxed);
        config.idle_timeout.store(0, Ordering::Relaxed);
        config.send_pings.store(false, Ordering::Relaxed);
    });
    let mut client = RawClient::upgraded(served.address);
    host.wait_open();
    served
        .server
        .config
        .idle_timeout
        .store(1, Ordering::Relaxed);
    let id = served.server.id;
    host.run(move |js| js.tell_all(|| Command::Reschedule { server: id }));
    assert_eq!(client.take_all(), b"");
    assert_eq!(host.wait_close().0, 1006);
    host.finish(&served);
}

#[test]
fn a_silent_socket_is_pinged_and_lives_on_when_it_answers() {
    let host = Host::echo();
    let served = host.serve(|config| config.idle_timeout.store(8, Ordering::Relaxed));
    let mut answers = RawClient::upgraded(served.address);
    let mut silent = RawClient::upgraded(served.address);
    for client in [&mut answers, &mut silent] {
        let ping = client.frame();
        assert_eq!((ping.first, ping.payload.len()), (0x89, 0));
    }
    answers.send(frame(0xa, b""));
    assert_eq!(silent.take_all(), b"");
    assert_eq!(host.wait_close().0, 1006);
    answers.send(frame(0x1, b"still here"));
    assert_eq!(answers.frame().payload, b"still here");
    host.finish(&served);
}

// --- the end of everything ---

/// Whenever a client vanishes, nothing of it is left: the server's end comes.
#[test]
fn clients_that_vanish_at_any_stage_leave_nothing() {
    type Stage = fn(&Host, &Served, &mut RawClient);
    fn upgrade(host: &Host, served: &Served, client: &mut RawClient) {
        let known = requests(host);
        client.send(handshake("/", ""));
        let (rid, _) = host.wait_request(known);
        host.run(move |js| js.upgrade(rid, "", None));
        assert_eq!(client.head().status, 101);
        let _ = served;
    }
    fn newest(host: &Host) -> u32 {
        let mut seen = host.seen();
        seen.reverse();
        seen.iter()
            .find_map(|seen| match seen {
                Seen::Open { id } => Some(*id),
                _ => None,
            })
            .unwrap()
    }
    let stages: Vec<Stage> = vec![
        |_, _, _| {},
        |_, _, client| client.send("GET / HTTP/1.1\r\nHo"),
        |host, _, client| {
            let known = requests(host);
            client.send(handshake("/", ""));
            host.wait_request(known);
        },
        |host, _, client| {
            let known = requests(host);
            client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
            host.wait_request(known);
        },
        |host, _, client| {
            let known = requests(host);
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let (rid, _) = host.wait_request(known);
            host.run(move |js| {
                js.respond_with(rid, 200, "", None, false);
                js.chunk(rid, &bytes(16 << 20), true);
            });
            client.head();
        },
        // The 101 is on its way, or on the wire and not read.
        |host, _, client| {
            let known = requests(host);
            client.send(handshake("/", ""));
            let (rid, _) = host.wait_request(known);
            host.run(move |js| js.upgrade(rid, "", None));
        },
        upgrade,
        |host, served, client| {
            upgrade(host, served, client);
            client.send(&frame(0x1, b"half a frame")[..9]);
        },
        |host, served, client| {
            upgrade(host, served, client);
            client.send(masked(0x01, b"a fragment"));
        },
        |host, served, client| {
            upgrade(host, served, client);
            client.send(masked(0x01, b"a violation"));
            client.send(frame(0x1, b"and its end"));
        },
        |host, served, client| {
            upgrade(host, served, client);
            let id = newest(host);
            host.run(move |js| js.subscribe(id, 3));
            fill(host, id, &bytes(1000));
        },
        |host, served, client| {
            upgrade(host, served, client);
            let id = newest(host);
            fill(host, id, &bytes(100_000));
            host.run(move |js| js.close(id, 1000, ""));
        },
        |host, served, client| {
            upgrade(host, served, client);
            let id = newest(host);
            host.run(move |js| {
                js.subscribe(id, 3);
                js.command(id, |slot| Command::Pause { slot });
            });
        },
        |host, served, client| {
            upgrade(host, served, client);
            client.send(close_frame(1000, ""));
            client.closed();
        },
    ];
    for reset in [false, true] {
        let host = Host::passive();
        let served = limited(&host, false);
        for (n, stage) in stages.iter().enumerate() {
            let mut client = RawClient::connect(served.address);
            stage(&host, &served, &mut client);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            // Publishes to whoever may still be a member do no harm, nor do late answers.
            host.run(move |js| js.publish(3, None, Opcode::Text, b"anyone?"));
            if n == 2 || n == 3 {
                let rid = host.wait_for(|seen| match seen {
                    Seen::RequestEnd { rid, aborted: true } => Some(*rid),
                    _ => None,
                });
                host.run(move |js| js.respond(rid, 200, "", b"late"));
            }
        }
        host.finish(&served);
        until("no socket is left", || host.run(|js| js.sockets.is_empty()));
        assert_eq!(host.port.blocked_ids(), None);
    }
}

fn requests(host: &Host) -> usize {
    let seen = host.seen();
    let requests = seen.iter().filter(|s| matches!(s, Seen::Request { .. }));
    requests.count()
}

/// The client leaves while `fetch` runs, and the program upgrades its request before it hears of that.
#[test]
fn a_handshake_whose_client_has_left_opens_and_closes() {
    for _ in 0..30 {
        let host = Host::passive();
        let served = host.serve(|_| {});
        let mut client = RawClient::connect(served.address);
        client.send(handshake("/", ""));
        let (rid, _) = host.wait_request(0);
        let before = host.wakes();
        let busy = host.block();
        client.reset();
        until("the program is told", || host.wakes() > before);
        let (send, opened) = mpsc::channel();
        host.post(move |js| {
            let id = js.upgrade(rid, "", None);
            js.subscribe(id, 1);
            js.send(id, Opcode::Text, b"hello");
            js.publish(1, None, Opcode::Text, b"all");
            js.hand_over();
            send.send(id).unwrap();
        });
        drop(busy);
        let opened = opened.recv_timeout(PATIENCE).unwrap();
        let (id, code) = host.wait_for(|seen| match seen {
            Seen::Close { id, code, .. } => Some((*id, *code)),
            _ => None,
        });
        assert_eq!((id, code), (opened, 1006));
        host.finish(&served);
    }
}

#[test]
fn stopping_leaves_sockets_usable() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    for force in [false, true] {
        host.stop(&served, force);
        client.send(frame(0x1, b"on"));
        assert_eq!(client.frame().payload, b"on");
    }
    let number = served.server.id;
    let gone = Seen::ServerGone { server: number };
    assert!(!host.seen().contains(&gone));
    assert!(Server::find(number).is_some());
    client.send(close_frame(1000, ""));
    client.closed();
    host.wait_gone(&served);
    assert!(Server::find(number).is_none());
}

#[test]
fn a_program_that_ends_sends_what_it_had_and_ends_its_sockets() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut clients: Vec<_> = (0..6)
        .map(|_| RawClient::upgraded(served.address))
        .collect();
    host.wait_count(6, |seen| matches!(seen, Seen::Open { .. }));
    host.run(|js| {
        for id in js.open_sockets().collect::<Vec<_>>() {
            js.send(id, Opcode::Text, b"farewell");
        }
    });
    drop(host);
    for client in &mut clients {
        assert_eq!(client.frame().payload, b"farewell");
        assert_eq!(client.take_all(), b"");
    }
    until("the port is closed", || {
        let error = std::net::TcpStream::connect(served.address).err();
        error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

#[test]
fn a_program_that_ends_ends_its_pending_requests() {
    let host = Host::passive();
    let served = host.serve(|_| {});
    let mut client = RawClient::connect(served.address);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    host.wait_request(0);
    drop(host);
    assert_eq!(client.ended(), b"");
}

/// Worker threads come and go; the I/O threads stay.
#[test]
fn a_program_that_ends_is_forgotten() {
    let host = Host::echo();
    let served = host.serve(|_| {});
    let mut client = RawClient::upgraded(served.address);
    let port = Arc::downgrade(&host.port);
    let weak = Arc::downgrade(&served.server);
    drop((host, served));
    client.ended();
    drop(client);
    until("the server is dropped", || weak.strong_count() == 0);
    until("the port is dropped", || port.strong_count() == 0);
}
