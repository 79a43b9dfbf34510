//! permessage-deflate over real sockets. The client compresses and inflates with flate2 alone.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use ferrows::session::{MessageKind, ServerConfig};
use ferrows::wire::Opcode;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use support::client::{RawClient, frame, handshake, masked};
use support::random::Random;
use support::{Host, Js, Seen, Served, pool, until};

/// As [`ServerConfig::compress`] has it.
const SHARED: u8 = 1;
const DEDICATED: u8 = 15;
/// FIN, RSV1 and the opcode.
const TEXT: u8 = 0xc1;
const BINARY: u8 = 0xc2;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

fn deflating(compress: u8, decompress: u8) -> impl FnOnce(&ServerConfig) {
    move |config| {
        config.compress.store(compress, Ordering::Relaxed);
        config.decompress.store(decompress, Ordering::Relaxed);
    }
}

/// A client that has agreed on compression, and what it does with it.
struct Client {
    raw: RawClient,
    answer: String,
    deflate: Compress,
    inflate: Decompress,
}

impl Client {
    #[track_caller]
    fn connect(served: &Served, parameters: &str) -> Self {
        let mut raw = RawClient::connect(served.address);
        let field = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n");
        raw.send(handshake("/", &field).as_bytes());
        let head = raw.head();
        assert_eq!(head.status, 101, "{head:?}");
        let answer = head.field("sec-websocket-extensions").unwrap_or_default();
        let answer = answer.replace("context_takeover", "ct");
        Self {
            raw,
            answer: answer.replace("permessage-deflate", "pmd"),
            deflate: Compress::new(Compression::default(), false),
            inflate: Decompress::new(false),
        }
    }

    /// The compressed payload of a message; it refers to earlier ones where the client may keep its context.
    fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        if self.answer.contains("client_no_ct") {
            self.deflate.reset();
        }
        let mut packed = Vec::with_capacity(message.len() * 2 + 1000);
        self.deflate
            .compress_vec(message, &mut packed, FlushCompress::Sync)
            .unwrap();
        assert!(packed.ends_with(&TAIL));
        packed.truncate(packed.len() - TAIL.len());
        packed
    }

    /// The next message; it must be compressed.
    #[track_caller]
    fn next(&mut self) -> (u8, Vec<u8>) {
        let frame = self.raw.frame();
        assert_eq!(frame.first & 0xf0, 0xc0, "FIN and RSV1: {frame:?}");
        (frame.first, self.unpack(frame.payload))
    }

    fn unpack(&mut self, mut packed: Vec<u8>) -> Vec<u8> {
        if self.answer.contains("server_no_ct") {
            self.inflate.reset(false);
        }
        packed.extend(TAIL);
        let mut message = Vec::with_capacity(packed.len() * 4 + 1000);
        let mut rest = &packed[..];
        loop {
            let before = self.inflate.total_in();
            self.inflate
                .decompress_vec(rest, &mut message, FlushDecompress::Sync)
                .unwrap();
            rest = &rest[(self.inflate.total_in() - before) as usize..];
            if message.len() < message.capacity() {
                assert!(rest.is_empty());
                return message;
            }
            message.reserve(message.len());
        }
    }
}

/// The program: echoes, compressed.
fn echo(js: &mut Js, seen: &Seen) {
    match seen {
        Seen::Request {
            rid, handshake: 1, ..
        } => {
            js.upgrade(*rid, "", None);
        }
        Seen::Message { id, kind, payload } => {
            let opcode = match kind {
                MessageKind::Latin1 | MessageKind::Utf16 => Opcode::Text,
                _ => Opcode::Binary,
            };
            js.send_compressed(*id, opcode, payload);
        }
        _ => {}
    }
}

/// Some messages are worth compressing, some are not, and some are only against earlier ones.
fn mixture(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let phrase = bytes(random, 700);
    (0..count)
        .map(|n| match n % 5 {
            0 => vec![n as u8],
            1 => bytes(random, 1 + n * 13 % 2000),
            2 => phrase.clone(),
            3 => vec![n as u8; 1 + n * 997 % 90_000],
            _ => [&bytes(random, 50)[..], &phrase].concat(),
        })
        .collect()
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

#[test]
fn echoes_compressed_messages_with_every_kind_of_context() {
    for (compress, decompress, parameters, answer) in [
        (SHARED, SHARED, "", "pmd; client_no_ct; server_no_ct"),
        (DEDICATED, DEDICATED, "", "pmd"),
        (DEDICATED, SHARED, "", "pmd; client_no_ct"),
        (SHARED, DEDICATED, "", "pmd; server_no_ct"),
        (
            9,
            SHARED,
            "; server_max_window_bits=8",
            "pmd; client_no_ct; server_max_window_bits=8",
        ),
    ] {
        let host = Host::start(Box::new(echo));
        let served = host.serve(deflating(compress, decompress));
        let mut client = Client::connect(&served, parameters);
        assert_eq!(client.answer, answer);
        let mut random = Random::new(7);
        for (n, message) in mixture(&mut random, 60).into_iter().enumerate() {
            let packed = client.pack(&message);
            // Whole, or in two fragments with a ping between them.
            if n % 3 == 0 {
                let (front, back) = packed.split_at(packed.len() / 2);
                client.raw.send(masked(0x42, front));
                client.raw.send(frame(0x9, b"p"));
                client.raw.send(frame(0x0, back));
                assert_eq!(client.raw.frame().first, 0x8a);
            } else {
                client.raw.send(masked(BINARY, &packed));
            }
            assert!(client.next() == (BINARY, message), "{answer}: message {n}");
        }
        let text = "héllo ".repeat(100).into_bytes();
        let packed = client.pack(&text);
        client.raw.send(masked(TEXT, &packed));
        assert_eq!(client.next(), (TEXT, text));
        host.finish(&served);
    }
}

#[test]
fn a_socket_that_has_agreed_on_nothing_is_sent_what_is_to_be_compressed_as_it_is() {
    let host = Host::start(Box::new(echo));
    let served = host.serve(deflating(SHARED, SHARED));
    let mut client = RawClient::upgraded(served.address);
    for len in [1, 1000, 70_000] {
        client.send(frame(0x2, &vec![5; len]));
        let got = client.frame();
        assert_eq!((got.first, got.payload), (0x82, vec![5; len]));
    }
    client.send(masked(BINARY, &[0]));
    assert_eq!(
        client.closed(),
        (1002, "Received unexpected RSV1 bit".into())
    );
    host.finish(&served);
}

#[test]
fn what_is_no_compressed_message_ends_the_connection() {
    let bomb = {
        let mut packed = Vec::with_capacity(100_000);
        Compress::new(Compression::best(), false)
            .compress_vec(&vec![0; 17 << 20], &mut packed, FlushCompress::Sync)
            .unwrap();
        packed
    };
    let host = Host::start(Box::new(echo));
    let served = host.serve(deflating(SHARED, SHARED));
    for (first, payload, code, reason) in [
        (
            BINARY,
            vec![0xff; 9],
            1007,
            "Received invalid compressed data",
        ),
        (BINARY, vec![2], 1007, "Received invalid compressed data"),
        (
            TEXT,
            vec![0, 1, 0, 0xfe, 0xff, 0xff, 0],
            1007,
            "Received invalid UTF-8",
        ),
        (BINARY, bomb, 1009, "Received too big message"),
        (0xc9, vec![], 1002, "Received unexpected RSV1 bit"),
    ] {
        let mut client = Client::connect(&served, "");
        client.raw.send(masked(first, &payload));
        assert_eq!(client.raw.closed(), (code, reason.into()));
    }
    // Others go on with the same contexts.
    let mut client = Client::connect(&served, "");
    let packed = client.pack(b"still here");
    client.raw.send(masked(BINARY, &packed));
    assert_eq!(client.next(), (BINARY, b"still here".to_vec()));
    host.finish(&served);
}

const TOPIC: u32 = 5;

#[test]
fn a_publication_is_compressed_once_for_all_threads() {
    const OF_EACH: usize = 6;
    const PUBLICATIONS: usize = 40;
    // With the window of a client whose context is shared; `None` for those with a context of their own.
    let offers = [
        (Some("; server_no_context_takeover"), Some(15)),
        (
            Some("; server_no_context_takeover; server_max_window_bits=10"),
            Some(10),
        ),
        (Some(""), None),
        (Some("; server_max_window_bits=9"), None),
        (None, None),
    ];
    let host = Host::start(Box::new(echo));
    let served = host.serve(deflating(DEDICATED, SHARED));
    let mut clients = Vec::new();
    for _ in 0..OF_EACH {
        for (offer, window) in offers {
            let client = match offer {
                Some(parameters) => Ok(Client::connect(&served, parameters)),
                None => Err(RawClient::upgraded(served.address)),
            };
            clients.push((client, window));
        }
    }
    until("all are open", || {
        host.run(|js| js.open_sockets().count()) == offers.len() * OF_EACH
    });
    let threads = host.run(|js| {
        let open: Vec<u32> = js.open_sockets().collect();
        for id in open {
            js.subscribe(id, TOPIC);
        }
        let threads: HashSet<usize> = js.sockets.values().map(|s| s.thread).collect();
        threads.len()
    });
    assert_eq!(threads, pool().len());

    let messages = mixture(&mut Random::new(3), PUBLICATIONS);
    let sent = messages.clone();
    let publications: Vec<_> = host.run(move |js| {
        let publish =
            |message: &Vec<u8>| js.publish_compressed(TOPIC, None, Opcode::Binary, message);
        sent.iter().map(publish).collect()
    });
    // A plain one among them keeps its place.
    host.run(|js| js.publish(TOPIC, None, Opcode::Binary, b"plain"));
    for (client, window) in &mut clients {
        for (message, publication) in messages.iter().zip(&publications) {
            match client {
                Err(raw) => {
                    let frame = raw.frame();
                    assert!((frame.first, &frame.payload) == (0x82, message));
                }
                Ok(client) => {
                    let frame = client.raw.frame();
                    assert_eq!(frame.first, BINARY);
                    if let Some(window) = *window {
                        let made =
                            publication.compressed(window, |_| panic!("made by an I/O thread"));
                        assert!(made.ends_with(&frame.payload), "the same bytes for all");
                    }
                    assert!(client.unpack(frame.payload) == *message);
                }
            }
        }
        let raw = match client {
            Ok(client) => &mut client.raw,
            Err(raw) => raw,
        };
        let frame = raw.frame();
        assert_eq!((frame.first, frame.payload), (0x82, b"plain".to_vec()));
    }
    // Nobody shares this window.
    assert_eq!(
        publications[0].compressed(12, |_| Some(vec![7])).last(),
        Some(&7)
    );
    host.finish(&served);
}

#[test]
fn sends_and_publishes_to_one_socket_share_its_context_and_keep_their_order() {
    let host = Host::start(Box::new(echo));
    let served = host.serve(deflating(DEDICATED, DEDICATED));
    let mut clients = [Client::connect(&served, ""), Client::connect(&served, "")];
    until("both are open", || {
        host.run(|js| js.open_sockets().count()) == 2
    });
    let messages = mixture(&mut Random::new(11), 50);
    let sent = messages.clone();
    host.run(move |js| {
        let open: Vec<u32> = js.open_sockets().collect();
        for id in &open {
            js.subscribe(*id, TOPIC);
        }
        for (n, message) in sent.iter().enumerate() {
            if n % 2 == 0 {
                js.publish_compressed(TOPIC, None, Opcode::Binary, message);
            } else {
                for id in &open {
                    js.send_compressed(*id, Opcode::Binary, message);
                }
            }
            if n % 8 == 3 {
                for id in &open {
                    js.send(*id, Opcode::Text, b"plain");
                }
            }
        }
        // What was sent before it still arrives.
        for id in open {
            js.close(id, 4000, "done");
        }
    });
    for client in &mut clients {
        let mut packed = 0;
        for (n, message) in messages.iter().enumerate() {
            let frame = client.raw.frame();
            assert_eq!(frame.first, BINARY);
            packed += frame.payload.len();
            assert!(client.unpack(frame.payload) == *message, "message {n}");
            if n % 8 == 3 {
                assert_eq!(client.raw.frame().first, 0x81);
            }
        }
        assert_eq!(client.raw.closed(), (4000, "done".into()));
        let plain: usize = messages.iter().map(Vec::len).sum();
        assert!(packed * 4 < plain, "{packed} of {plain} bytes");
    }
    host.finish(&served);
}

#[test]
fn compressible_messages_do_not_fill_the_queue_of_a_slow_reader() {
    let host = Host::start(Box::new(echo));
    let served = host.serve(|config| {
        deflating(SHARED, SHARED)(config);
        config.backpressure_limit.store(1 << 20, Ordering::Relaxed);
    });
    let mut client = Client::connect(&served, "");
    let id = host.wait_open();
    for _ in 0..50 {
        host.run(move |js| {
            let message = vec![7; 100_000];
            for _ in 0..4 {
                js.send_compressed(id, Opcode::Binary, &message);
            }
        });
    }
    // Counted as payload until it is compressed, and then as what it came to.
    until("everything is settled", || {
        host.run(move |js| js.sockets[&id].waiting()) == 0
    });
    assert!(!host.run(move |js| js.sockets[&id].shared.is_blocked()));
    for _ in 0..200 {
        assert!(client.next() == (BINARY, vec![7; 100_000]));
    }
    host.finish(&served);
}
