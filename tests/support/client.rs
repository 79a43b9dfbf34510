//! A client of bytes: what no library would send, and what one would hide.

use super::PATIENCE;
use rustls::{ClientConfig, ClientConnection, Stream};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

/// A key and the answer to it (RFC 6455, 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Any: masking is the decoder's business.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A connection, and what has been read of it and not looked at.
pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
    /// What stands between the stream and us, if anything.
    pub(crate) tls: Option<ClientConnection>,
    buffer: Vec<u8>,
}

/// A response's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) lines: Vec<String>,
}

/// A frame as the server sent it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl RawClient {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            tls: None,
            buffer: Vec::new(),
        }
    }

    /// A connection whose TLS handshake is over.
    pub(crate) fn secure(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> std::io::Result<Self> {
        let mut client = Self::connect(address);
        let name = name.to_owned().try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut client.stream)?;
        }
        client.tls = Some(tls);
        Ok(client)
    }

    /// A connection that is a WebSocket already.
    #[track_caller]
    pub(crate) fn upgraded(address: SocketAddr) -> Self {
        Self::connect(address).upgrade()
    }

    /// Makes it one.
    #[track_caller]
    pub(crate) fn upgrade(self) -> Self {
        let mut client = self;
        client.send(handshake("/", "").as_bytes());
        let head = client.head();
        assert_eq!(head.status, 101, "{head:?}");
        client
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.stream)
                .write_all(bytes.as_ref())
                .unwrap(),
            None => self.stream.write_all(bytes.as_ref()).unwrap(),
        }
    }

    /// FIN.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with RST, as a process that is killed with unread data does.
    pub(crate) fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    #[track_caller]
    fn fill(&mut self) -> usize {
        let mut piece = vec![0; 64 << 10];
        let read = match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.stream).read(&mut piece),
            None => self.stream.read(&mut piece),
        };
        match read {
            Ok(n) => {
                self.buffer.extend_from_slice(&piece[..n]);
                n
            }
            Err(error) => panic!("{error}; unread: {:?}", text(&self.buffer)),
        }
    }

    #[track_caller]
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            let got = self.fill();
            assert!(got > 0, "the end, after {:?}", text(&self.buffer));
        }
        self.buffer.drain(..n).collect()
    }

    /// Up to and with `end`.
    #[track_caller]
    pub(crate) fn take_to(&mut self, end: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..]
                .windows(end.len())
                .position(|w| w == end);
            if let Some(at) = found {
                return self.take(from + at + end.len());
            }
            from = (self.buffer.len() + 1).saturating_sub(end.len());
            let got = self.fill();
            assert!(got > 0, "the end, after {:?}", text(&self.buffer));
        }
    }

    /// The rest, which ends with FIN.
    #[track_caller]
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Waits for the end, be it FIN or RST, and gives what came before.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Vec<u8> {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return std::mem::take(&mut self.buffer),
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
                {
                    return std::mem::take(&mut self.buffer);
                }
                Err(error) => panic!("{error}; unread: {:?}", text(&self.buffer)),
            }
        }
    }

    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        let bytes = self.take_to(b"\r\n\r\n");
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(String::from);
        let first = lines.next().unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Head {
            status,
            lines: lines.collect(),
        }
    }

    /// A response with a body whose length its head says.
    #[track_caller]
    pub(crate) fn response(&mut self) -> (Head, Vec<u8>) {
        let head = self.head();
        let body = if let Some(coding) = head.field("transfer-encoding") {
            assert_eq!(coding, "chunked");
            self.chunked()
        } else {
            let len = head.field("content-length");
            self.take(len.map_or(0, |value| value.parse().unwrap()))
        };
        (head, body)
    }

    #[track_caller]
    fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.take_to(b"\r\n");
            let size = std::str::from_utf8(&size).unwrap().trim_end();
            let size = usize::from_str_radix(size, 16).unwrap();
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    /// A frame of the server's, which is not masked.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> RawFrame {
        let header = self.take(2);
        assert_eq!(header[1] & 0x80, 0, "a server's frame is not masked");
        let len = match header[1] {
            126 => usize::from(u16::from_be_bytes(self.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).try_into().unwrap()) as usize,
            len => usize::from(len),
        };
        RawFrame {
            first: header[0],
            payload: self.take(len),
        }
    }

    /// A close frame's code and reason, then FIN.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let RawFrame { first, payload } = self.frame();
        assert_eq!(first, 0x88, "a close frame, not {:?}", text(&payload));
        assert_eq!(text(&self.take_all()), "", "nothing follows a close frame");
        match payload.split_first_chunk::<2>() {
            Some((code, reason)) => (
                u16::from_be_bytes(*code),
                String::from_utf8(reason.to_vec()).unwrap(),
            ),
            None => (1005, String::new()),
        }
    }
}

impl Head {
    /// The value of the field with this (lower-case) name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (this, value) = line.split_once(": ")?;
            this.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A good handshake; `fields` are whole lines.
pub(crate) fn handshake(target: &str, fields: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// A masked frame with this first byte.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0xfe);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0xff);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    let key = MASK.iter().cycle();
    out.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
    out
}

/// A whole frame of a client's.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    masked(0x80 | opcode, payload)
}

/// A client's close frame.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(0x8, &payload)
}

fn text(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(200)];
    String::from_utf8_lossy(bytes).into_owned()
}
