//! TLS, over real sockets, with rustls as the client.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use ferrows::session::tls_config::{Clients, Identity, KeyForm};
use ferrows::session::{TlsConfig, TlsError, TlsMaterial};
use ferrows::wire::Opcode;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, version};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::client::{RawClient, close_frame, frame, handshake};
use support::random::Random;
use support::{Host, Seen, Served, until};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../__test__/support/certificates/", $name))
    };
}

const A: (&[u8], &[u8]) = (pem!("a.test.crt"), pem!("a.test.key"));
const B: (&[u8], &[u8]) = (pem!("b.test.crt"), pem!("b.test.key"));
const CLIENT: (&[u8], &[u8]) = (pem!("client.crt"), pem!("client.key"));
const STRANGER: (&[u8], &[u8]) = (pem!("stranger.crt"), pem!("stranger.key"));
const AUTHORITY: &[u8] = pem!("authority.crt");

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .map(Result::unwrap)
        .collect()
}

fn key(pem: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem).unwrap()
}

fn identity(name: Option<&str>, (cert, private): (&[u8], &[u8])) -> Identity {
    Identity {
        name: name.map(str::to_owned),
        chain: certificates(cert).into_iter().map(|c| c.to_vec()).collect(),
        key: key(private).secret_der().to_vec(),
        form: KeyForm::Pkcs8,
        clients: 0,
    }
}

fn only(pair: (&[u8], &[u8])) -> TlsConfig {
    let identities = vec![identity(None, pair)];
    TlsConfig::new(TlsMaterial {
        identities,
        ..TlsMaterial::default()
    })
    .unwrap()
}

/// A client that trusts everybody.
fn trusting(
    versions: &[&'static rustls::SupportedProtocolVersion],
    own: Option<(&[u8], &[u8])>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    match own {
        Some((cert, private)) => builder
            .with_client_auth_cert(certificates(cert), key(private))
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// The certificates of these tests are their own authorities, which webpki takes for none.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn any() -> Arc<ClientConfig> {
    Arc::new(trusting(rustls::ALL_VERSIONS, None))
}

fn speaking(version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(trusting(&[version], None))
}

fn connect(served: &Served, config: &Arc<ClientConfig>) -> RawClient {
    RawClient::secure(served.address, config, "a.test").unwrap()
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Text that shows where a piece of it came from.
fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

#[test]
fn answers_requests_in_both_versions() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let mut client = connect(&served, &speaking(version));
        for target in ["/1", "/2"] {
            client.send(get(target));
            let (head, body) = client.response();
            assert_eq!(head.status, 200);
            assert_eq!(body, format!("GET {target}").as_bytes());
        }
    }
    host.finish(&served);
}

#[test]
fn echoes_messages_of_every_size() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let mut client = connect(&served, &speaking(version)).upgrade();
        for size in [0, 1, 125, 16_383, 16_384, 16_385, 65_536, 100_000, 1 << 20] {
            client.send(frame(2, &bytes(size)));
            let echoed = client.frame();
            assert_eq!(echoed.first, 0x82);
            assert!(echoed.payload == bytes(size), "{size}");
        }
        // In one go, so that many frames share a record, and frames lie across records.
        let mut all = Vec::new();
        for size in 0..500 {
            all.extend(frame(2, &bytes(size * 7)));
        }
        let writer = std::thread::spawn(move || {
            client.send(all);
            client
        });
        let mut client = writer.join().unwrap();
        for size in 0..500 {
            assert!(client.frame().payload == bytes(size * 7), "{size}");
        }
    }
    host.finish(&served);
}

/// A client whose bytes a test sends itself.
struct Loose {
    raw: RawClient,
    tls: ClientConnection,
}

impl Loose {
    fn new(served: &Served, config: Arc<ClientConfig>) -> Self {
        let name = "a.test".try_into().unwrap();
        Self {
            raw: RawClient::connect(served.address),
            tls: ClientConnection::new(config, name).unwrap(),
        }
    }

    /// Goes on until the handshake is over for us. What ends it for the server is among the next `records`.
    fn shake_hands(&mut self) {
        let hello = self.records();
        self.raw.stream.write_all(&hello).unwrap();
        while self.tls.is_handshaking() {
            self.read();
        }
    }

    /// What TLS would send now.
    fn records(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out).unwrap();
        }
        out
    }

    /// Reads once, and lets TLS look at it.
    fn read(&mut self) {
        assert!(self.tls.read_tls(&mut self.raw.stream).unwrap() > 0);
        self.tls.process_new_packets().unwrap();
    }

    /// Reads until this many bytes of plaintext are there.
    fn plaintext(&mut self, n: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < n {
            let mut piece = [0; 4096];
            match self.tls.reader().read(&mut piece) {
                Ok(read) => got.extend_from_slice(&piece[..read]),
                Err(_) => self.read(),
            }
        }
        got
    }
}

#[test]
fn takes_records_byte_by_byte_and_handshakes_in_small_pieces() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let mut config = trusting(&[version], None);
        // A ClientHello in many records.
        config.max_fragment_size = Some(64);
        let mut client = Loose::new(&served, Arc::new(config));
        while client.tls.is_handshaking() {
            for byte in client.records() {
                client.raw.stream.write_all(&[byte]).unwrap();
            }
            if client.tls.is_handshaking() {
                client.read();
            }
        }
        client
            .tls
            .writer()
            .write_all(get("/slow").as_bytes())
            .unwrap();
        for byte in client.records() {
            client.raw.stream.write_all(&[byte]).unwrap();
        }
        let answer = client.plaintext(20);
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
    host.finish(&served);
}

#[test]
fn takes_a_request_and_frames_in_one_segment_with_the_end_of_the_handshake() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let mut client = Loose::new(&served, speaking(&version::TLS13));
    client.shake_hands();
    let mut rest = client.records();
    for part in [
        handshake("/", "").into_bytes(),
        frame(1, b"early"),
        frame(1, b"bird"),
    ] {
        client.tls.writer().write_all(&part).unwrap();
        rest.extend(client.records());
    }
    client.raw.stream.write_all(&rest).unwrap();
    let answer = client.plaintext(20);
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    let mut got = answer;
    while !got.ends_with(b"\x81\x05early\x81\x04bird") {
        got.extend(client.plaintext(1));
    }
    host.finish(&served);
}

#[test]
fn follows_a_change_of_the_clients_keys() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let mut client = connect(&served, &any()).upgrade();
    for round in 0..20u8 {
        if round % 3 == 0 {
            client.tls.as_mut().unwrap().refresh_traffic_keys().unwrap();
        }
        client.send(frame(2, &[round; 5000]));
        assert_eq!(client.frame().payload, [round; 5000]);
    }
    host.finish(&served);
}

#[test]
fn a_slow_reader_is_waited_for_and_gets_everything_in_order() {
    const MESSAGES: u32 = 400;
    for size in [3000, 100_000] {
        let host = Host::echo();
        let served = host.serve_tls(only(A), |config| {
            config.backpressure_limit.store(0, Ordering::Relaxed);
            config.wants_drains.store(true, Ordering::Relaxed);
        });
        let mut client = connect(&served, &any()).upgrade();
        let id = host.wait_open();
        let count = MESSAGES * 100_000 / size;
        host.run(move |js| {
            for n in 0..count {
                let mut payload = vec![n as u8; size as usize];
                payload[..4].copy_from_slice(&n.to_be_bytes());
                js.send(id, Opcode::Binary, &payload);
            }
        });
        until("the kernel refuses bytes", || {
            host.run(move |js| js.sockets[&id].shared.is_blocked())
        });
        for n in 0..count {
            let payload = client.frame().payload;
            assert_eq!(payload.len(), size as usize);
            assert_eq!(payload[..4], n.to_be_bytes());
            assert!(payload[4..].iter().all(|byte| *byte == n as u8));
        }
        host.wait_for(|seen| matches!(seen, Seen::Drain { .. }).then_some(()));
        let waiting = host.run(move |js| js.sockets[&id].shared.is_blocked());
        assert!(!waiting);
        host.finish(&served);
    }
}

#[test]
fn a_close_ends_tls_in_order() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let mut client = connect(&served, &any()).upgrade();
    client.send(close_frame(1000, "bye"));
    assert_eq!(client.closed(), (1000, "bye".into()));
    // rustls takes a FIN without close_notify for an error.
    assert_eq!(client.take_all(), b"");
    host.finish(&served);

    let served = host.serve_tls(only(A), |_| {});
    let mut client = connect(&served, &any());
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().0.status, 200);
    assert_eq!(client.take_all(), b"");
    host.finish(&served);
}

#[test]
fn a_close_behind_a_full_kernel_buffer_ends_tls_in_order() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |config| {
        config.backpressure_limit.store(0, Ordering::Relaxed);
    });
    let mut client = connect(&served, &any()).upgrade();
    let id = host.wait_open();
    host.run(move |js| {
        for _ in 0..300 {
            js.send(id, Opcode::Binary, &bytes(100_000));
        }
        js.close(id, 4000, "later");
    });
    for _ in 0..300 {
        assert_eq!(client.frame().payload.len(), 100_000);
    }
    assert_eq!(client.closed(), (4000, "later".into()));
    client.send(close_frame(4000, ""));
    assert_eq!(client.take_all(), b"");
    host.finish(&served);
}

#[test]
fn resets_harm_nobody() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let config = any();
    for n in 0..40 {
        let mut client = connect(&served, &config);
        if n % 2 == 0 {
            client = client.upgrade();
            client.send(&frame(2, &bytes(100_000))[..50_000]);
        }
        client.reset();
        RawClient::connect(served.address).reset();
    }
    let mut client = connect(&served, &config);
    client.send(get("/after"));
    assert_eq!(client.response().1, b"GET /after");
    host.finish(&served);
}

#[test]
fn what_is_not_tls_is_closed_without_an_answer() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let mut client = RawClient::connect(served.address);
    client.send(get("/"));
    assert_eq!(client.ended(), b"");
    assert!(host.seen().is_empty());
    host.finish(&served);
}

#[test]
fn damaged_handshakes_and_records_harm_nobody() {
    for config in [only(A), asking_by_name()] {
        damaged_handshakes_and_records_reach(config);
    }
}

fn damaged_handshakes_and_records_reach(config: TlsConfig) {
    let host = Host::echo();
    let served = host.serve_tls(config, |_| {});
    let mut random = Random::new(7);
    for round in 0..300 {
        let mut client = Loose::new(&served, any());
        if round % 3 == 0 {
            // Behind the handshake.
            client.shake_hands();
            client
                .tls
                .writer()
                .write_all(get("/never").as_bytes())
                .unwrap();
        }
        let mut records = client.records();
        for _ in 0..=random.below(4) {
            let at = random.below(records.len());
            records[at] ^= 1 << random.below(8);
        }
        if random.below(2) == 0 {
            records.truncate(random.below(records.len()));
        }
        let _ = client.raw.stream.write_all(&records);
        let _ = client.raw.stream.shutdown(std::net::Shutdown::Write);
        client.raw.ended();
    }
    assert!(
        !host
            .seen()
            .iter()
            .any(|seen| matches!(seen, Seen::Request { target, .. } if target != "/never"))
    );
    let mut client = connect(&served, &any());
    client.send(get("/after"));
    assert_eq!(client.response().1, b"GET /after");
    host.finish(&served);
}

#[test]
fn sessions_are_resumed() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let config = speaking(version);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = connect(&served, &config);
            client.send(get("/"));
            assert_eq!(client.response().0.status, 200);
            let kind = client.tls.as_ref().unwrap().handshake_kind();
            assert_eq!(kind, Some(expected), "{version:?}");
        }
    }
    host.finish(&served);
}

fn shown(served: &Served, config: &Arc<ClientConfig>, name: &str) -> CertificateDer<'static> {
    let client = RawClient::secure(served.address, config, name).unwrap();
    client.tls.unwrap().peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[test]
fn new_material_is_for_new_handshakes() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |_| {});
    let config = any();
    let mut old = connect(&served, &config).upgrade();
    assert_eq!(shown(&served, &config, "a.test"), certificates(A.0)[0]);
    assert!(served.server.set_tls(only(B)));
    assert_eq!(shown(&served, &config, "a.test"), certificates(B.0)[0]);
    old.send(frame(1, b"still"));
    assert_eq!(old.frame().payload, b"still");
    host.finish(&served);
}

#[test]
fn names_choose_certificates() {
    let host = Host::echo();
    let identities = vec![identity(Some("A.test"), A), identity(Some("*.b.test"), B)];
    let material = TlsMaterial {
        identities,
        ..TlsMaterial::default()
    };
    let served = host.serve_tls(TlsConfig::new(material).unwrap(), |_| {});
    let config = any();
    for (name, pair) in [
        ("a.test", A),
        ("x.b.test", B),
        ("b.test", A),
        ("y.x.b.test", A),
        ("192.0.2.1", A),
    ] {
        assert_eq!(
            shown(&served, &config, name),
            certificates(pair.0)[0],
            "{name}"
        );
    }
    host.finish(&served);
}

/// Whether a client that asks for this name gets an answer.
fn is_answered(served: &Served, config: &Arc<ClientConfig>, name: &str) -> bool {
    let answer = RawClient::secure(served.address, config, name).and_then(|mut client| {
        let mut tls = client.tls.take().unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut client.stream);
        stream.write_all(get("/").as_bytes())?;
        let mut first = [0; 12];
        stream.read_exact(&mut first)?;
        Ok(first)
    });
    answer.is_ok_and(|first| &first == b"HTTP/1.1 200")
}

#[test]
fn clients_have_to_show_what_is_asked_for() {
    let host = Host::echo();
    let verified = Clients::Verified {
        authorities: [AUTHORITY, B.0]
            .iter()
            .map(|pem| certificates(pem)[0].to_vec())
            .collect(),
        told: true,
    };
    let allowed = |clients, version, own| {
        let material = TlsMaterial {
            identities: vec![identity(None, A)],
            clients: vec![clients],
            ..TlsMaterial::default()
        };
        let served = host.serve_tls(TlsConfig::new(material).unwrap(), |_| {});
        let answered = is_answered(&served, &Arc::new(trusting(&[version], own)), "a.test");
        host.finish(&served);
        answered
    };
    let rules = |which| match which {
        0 => Clients::Anybody,
        1 => Clients::Asked,
        _ => {
            let Clients::Verified { authorities, .. } = &verified else {
                unreachable!()
            };
            Clients::Verified {
                authorities: authorities.clone(),
                told: true,
            }
        }
    };
    for version in [&version::TLS12, &version::TLS13] {
        for (own, expected) in [
            (None, [true, true, false]),
            (Some(CLIENT), [true, true, true]),
            (Some(STRANGER), [true, true, false]),
            // Among the authorities itself.
            (Some(B), [true, true, true]),
        ] {
            for (which, expected) in expected.into_iter().enumerate() {
                assert_eq!(allowed(rules(which), version, own), expected, "{which}");
            }
        }
    }
}

/// `a.test` and every name that is not known ask for nothing, `b.test` for a certificate of the authority, and other
/// names below it for the stranger's.
fn asking_by_name() -> TlsConfig {
    let of = |pem| Clients::Verified {
        authorities: vec![certificates(pem)[0].to_vec()],
        told: true,
    };
    let asking = |name, pair, clients| Identity {
        clients,
        ..identity(Some(name), pair)
    };
    TlsConfig::new(TlsMaterial {
        identities: vec![
            asking("a.test", A, 0),
            asking("B.test", B, 1),
            asking("*.b.test", B, 2),
        ],
        clients: vec![Clients::Anybody, of(AUTHORITY), of(STRANGER.0)],
        ..TlsMaterial::default()
    })
    .unwrap()
}

#[test]
fn names_choose_what_is_asked_for() {
    let host = Host::echo();
    let served = host.serve_tls(asking_by_name(), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        for (own, [a, b, below]) in [
            (None, [true, false, false]),
            (Some(CLIENT), [true, true, false]),
            (Some(STRANGER), [true, false, true]),
        ] {
            let config = Arc::new(trusting(&[version], own));
            for (name, expected) in [
                ("a.test", a),
                ("elsewhere.test", a),
                ("192.0.2.1", a),
                ("b.test", b),
                ("x.b.test", below),
                ("y.x.b.test", a),
            ] {
                assert_eq!(is_answered(&served, &config, name), expected, "{name}");
            }
        }
    }
    host.finish(&served);
}

#[test]
fn sessions_are_resumed_under_each_name() {
    let host = Host::echo();
    let served = host.serve_tls(asking_by_name(), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let config = Arc::new(trusting(&[version], Some(CLIENT)));
        for name in ["a.test", "b.test"] {
            let kinds = [0, 1].map(|_| {
                let mut client = RawClient::secure(served.address, &config, name).unwrap();
                client.send(get("/"));
                assert_eq!(client.response().0.status, 200);
                client.tls.unwrap().handshake_kind().unwrap()
            });
            assert_eq!(
                kinds,
                [HandshakeKind::Full, HandshakeKind::Resumed],
                "{name}"
            );
        }
    }
    host.finish(&served);
}

#[test]
fn reads_the_name_from_a_hello_in_small_pieces() {
    let host = Host::echo();
    let served = host.serve_tls(asking_by_name(), |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let mut config = trusting(&[version], None);
        config.max_fragment_size = Some(64);
        let mut client = Loose::new(&served, Arc::new(config));
        while client.tls.is_handshaking() {
            for byte in client.records() {
                client.raw.stream.write_all(&[byte]).unwrap();
            }
            if client.tls.is_handshaking() {
                client.read();
            }
        }
        client.tls.writer().write_all(get("/").as_bytes()).unwrap();
        let request = client.records();
        client.raw.stream.write_all(&request).unwrap();
        let answer = client.plaintext(20);
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
    host.finish(&served);
}

#[test]
fn a_hello_that_cannot_be_read_is_answered_with_an_alert() {
    let host = Host::echo();
    for config in [only(A), asking_by_name()] {
        let served = host.serve_tls(config, |_| {});
        // A ClientHello whose length says less than is there (RFC 8446, 4.1.2).
        let mut client = RawClient::connect(served.address);
        client.send([22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3]);
        let answer = client.ended();
        assert_eq!(answer.first(), Some(&21), "{answer:?}");
        // One that is larger than any may be.
        let mut client = RawClient::connect(served.address);
        client.send([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]);
        client.ended();
        host.finish(&served);
    }
}

#[test]
fn a_refused_client_reads_why() {
    let host = Host::echo();
    let material = TlsMaterial {
        identities: vec![identity(None, A)],
        clients: vec![Clients::Verified {
            authorities: vec![certificates(AUTHORITY)[0].to_vec()],
            told: true,
        }],
        ..TlsMaterial::default()
    };
    let served = host.serve_tls(TlsConfig::new(material).unwrap(), |_| {});
    let mut client = Loose::new(&served, speaking(&version::TLS13));
    client.shake_hands();
    // The request is on the wire before the server has judged.
    client.tls.writer().write_all(&bytes(50_000)).unwrap();
    let rest = client.records();
    client.raw.stream.write_all(&rest).unwrap();
    let error = loop {
        match client.tls.read_tls(&mut client.raw.stream) {
            Ok(0) => panic!("the end without an alert"),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
        if let Err(error) = client.tls.process_new_packets() {
            break error;
        }
    };
    assert!(
        matches!(
            error,
            rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired)
        ),
        "{error}"
    );
    drop(client);
    host.finish(&served);
}

#[test]
fn versions_can_be_left_out() {
    let host = Host::echo();
    for (only_tls12, only_tls13) in [(true, false), (false, true)] {
        let material = TlsMaterial {
            identities: vec![identity(None, A)],
            only_tls12,
            only_tls13,
            ..TlsMaterial::default()
        };
        let served = host.serve_tls(TlsConfig::new(material).unwrap(), |_| {});
        for (version, works) in [(&version::TLS12, only_tls12), (&version::TLS13, only_tls13)] {
            let client = RawClient::secure(served.address, &speaking(version), "a.test");
            assert_eq!(client.is_ok(), works, "{version:?}");
        }
        host.finish(&served);
    }
}

#[test]
fn says_what_is_wrong_with_the_material() {
    let error = |identities, clients| {
        TlsConfig::new(TlsMaterial {
            identities,
            clients: vec![clients],
            ..TlsMaterial::default()
        })
        .unwrap_err()
    };
    let good = || identity(None, A);
    let mixed = || identity(Some("b"), (B.0, A.1));
    assert_eq!(error(Vec::new(), Clients::Anybody), TlsError::Nothing);
    assert_eq!(
        error(vec![good(), mixed()], Clients::Anybody),
        TlsError::Mismatch(1)
    );
    let broken = Identity {
        key: vec![1, 2, 3],
        ..good()
    };
    assert_eq!(error(vec![broken], Clients::Anybody), TlsError::Key(0));
    let clients = Clients::Verified {
        authorities: vec![certificates(AUTHORITY)[0].to_vec(), vec![0; 9]],
        told: true,
    };
    assert_eq!(error(vec![good()], clients), TlsError::Authority(1));
}

#[test]
fn a_handshake_has_as_long_as_a_silent_connection() {
    let host = Host::echo();
    let served = host.serve_tls(only(A), |config| {
        config.http_idle_timeout.store(1, Ordering::Relaxed);
    });
    let mut silent = RawClient::connect(served.address);
    let mut halfway = RawClient::connect(served.address);
    halfway.send([22, 3, 1, 2, 0, 1]);
    assert_eq!(silent.ended(), b"");
    assert_eq!(halfway.ended(), b"");
    host.finish(&served);
}
