//! One client connection: blocking while it opens and closes, non-blocking in between.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use mio::{Interest, Registry, Token};

use crate::args::Target;
use crate::error::{Error, Result, io};
use crate::frame::{self, Frame};
use crate::handshake;
use crate::system;
use crate::wire::Wire;

const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Handshakes that are under way at the same time.
const OPENING_AT_ONCE: usize = 64;
const MIN_FREE: usize = 4 * 1024;

/// A small generator of numbers that need to differ, not to be secret (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn mask_key(&mut self) -> [u8; 4] {
        ((self.next() >> 32) as u32).to_ne_bytes()
    }

    /// For an opening handshake.
    pub fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.next().to_ne_bytes());
        nonce[8..].copy_from_slice(&self.next().to_ne_bytes());
        nonce
    }
}

/// Bytes received and not consumed yet.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// Free space for a read. What is left of a split frame moves to the front when the space runs out.
    fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.bytes.len() - self.end < MIN_FREE {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.bytes.len() - self.end < MIN_FREE.max(self.bytes.len() / 2) {
                self.bytes
                    .resize((self.bytes.len() * 2).max(4 * MIN_FREE), 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

pub struct Client {
    wire: Wire<mio::net::TcpStream>,
    inbox: Inbox,
    /// Bytes to send; those before `out_pos` are gone.
    pub out: Vec<u8>,
    out_pos: usize,
}

/// A connection that has sent its opening handshake.
struct Opening {
    wire: Wire<TcpStream>,
    accept: String,
}

/// Opens WebSocket connections, a few dozen handshakes at a time, in order.
pub fn open(count: usize, target: Target<'_>, random: &mut Random) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let group = OPENING_AT_ONCE.min(count - clients.len());
        let opening = (0..group)
            .map(|_| Opening::start(target, random))
            .collect::<Result<Vec<_>>>()?;
        for one in opening {
            clients.push(one.finish()?);
        }
    }
    Ok(clients)
}

/// Opens connections on which nothing has been sent yet.
pub fn connect(count: usize, target: Target<'_>) -> Result<Vec<Client>> {
    (0..count)
        .map(|_| Client::new(dial(target)?, Inbox::default()))
        .collect()
}

fn dial(Target { port, tls, .. }: Target<'_>) -> Result<Wire<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(io("connecting"))?;
    stream.set_nodelay(true).map_err(io("TCP_NODELAY"))?;
    stream
        .set_read_timeout(Some(OPENING_TIMEOUT))
        .map_err(io("read timeout"))?;
    Wire::open(stream, tls).map_err(io("the TLS handshake"))
}

impl Opening {
    fn start(target: Target<'_>, random: &mut Random) -> Result<Self> {
        let (request, accept) = handshake::request(target.path, target.port, random.nonce());
        let mut wire = dial(target)?;
        wire.write_all(request.as_bytes())
            .map_err(io("sending the handshake"))?;
        Ok(Self { wire, accept })
    }

    fn finish(mut self) -> Result<Client> {
        let mut inbox = Inbox::default();
        loop {
            let count = self
                .wire
                .read(inbox.space())
                .map_err(io("reading the handshake"))?;
            if count == 0 {
                return Err(Error::Server(
                    "closed the connection during the handshake".into(),
                ));
            }
            inbox.end += count;
            if let Some(len) = handshake::check_response(inbox.filled(), &self.accept)? {
                inbox.start += len;
                break;
            }
        }
        Client::new(self.wire, inbox)
    }
}

impl Client {
    fn new(wire: Wire<TcpStream>, inbox: Inbox) -> Result<Self> {
        wire.stream
            .set_nonblocking(true)
            .map_err(io("non-blocking mode"))?;
        Ok(Self {
            wire: wire.map(mio::net::TcpStream::from_std),
            inbox,
            out: Vec::new(),
            out_pos: 0,
        })
    }

    /// A connection that is still to be made: what is in `out` leaves once it stands. It ends with a reset.
    pub fn connecting(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = mio::net::TcpStream::connect(address).map_err(io("connecting"))?;
        system::reset_when_closed(&stream).map_err(io("SO_LINGER"))?;
        Ok(Self {
            wire: Wire::plain(stream),
            inbox: Inbox::default(),
            out: Vec::new(),
            out_pos: 0,
        })
    }

    pub fn register(&mut self, registry: &Registry, index: usize) -> Result<()> {
        registry
            .register(
                &mut self.wire.stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(io("registering a socket"))
    }

    /// Writes what the kernel takes of `out`; the rest waits for the next writable event.
    pub fn flush(&mut self) -> Result<()> {
        while self.out_pos < self.out.len() {
            match self.wire.write(&self.out[self.out_pos..]) {
                Ok(count) => self.out_pos += count,
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io("writing")(error)),
            }
        }
        self.out.clear();
        self.out_pos = 0;
        match self.wire.flush() {
            Err(error) if !is_for_later(&error) => Err(io("writing")(error)),
            _ => Ok(()),
        }
    }

    /// One read; returns false when the socket has nothing more for now.
    pub fn fill(&mut self) -> Result<bool> {
        let space = self.inbox.space();
        let room = space.len();
        match self.wire.read(space) {
            Ok(0) => Err(Error::Server("closed the connection".into())),
            Ok(count) => {
                self.inbox.end += count;
                // epoll and kqueue tell of the next byte after a short read; elsewhere only "would block" is the end.
                // With TLS, bytes may be left above the socket.
                Ok(count == room || cfg!(not(unix)) || self.wire.is_secure())
            }
            Err(error) if is_for_later(&error) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(io("reading")(error)),
        }
    }

    /// Calls `each` with every whole frame received, the output buffer beside it. Pings are answered here.
    pub fn frames(
        &mut self,
        random: &mut Random,
        mut each: impl FnMut(&Frame<'_>, &mut Vec<u8>, &mut Random) -> Result<()>,
    ) -> Result<()> {
        while let Some(frame) = frame::read(self.inbox.filled())? {
            match frame.opcode {
                frame::PING => {
                    let payload = frame.payload;
                    frame::write_masked(
                        &mut self.out,
                        frame::PONG,
                        payload.len(),
                        random.mask_key(),
                        |out| out.extend_from_slice(payload),
                    );
                }
                frame::CLOSE => {
                    return Err(Error::Server(format!(
                        "sent a close frame: {:02X?}",
                        frame.payload
                    )));
                }
                _ => each(&frame, &mut self.out, random)?,
            }
            self.inbox.start += frame.len;
        }
        Ok(())
    }

    /// Calls `read` with what has been received, the output buffer beside it, as long as there is something and `read`
    /// says how much of it is done with.
    pub fn consume(
        &mut self,
        mut read: impl FnMut(&[u8], &mut Vec<u8>) -> Result<Option<usize>>,
    ) -> Result<()> {
        while !self.inbox.filled().is_empty() {
            match read(self.inbox.filled(), &mut self.out)? {
                Some(len) => self.inbox.start += len,
                None => break,
            }
        }
        Ok(())
    }

    fn into_blocking(self) -> Result<(Wire<TcpStream>, Inbox)> {
        let wire = self.wire.map(TcpStream::from);
        let stream = &wire.stream;
        stream.set_nonblocking(false).map_err(io("blocking mode"))?;
        stream
            .set_read_timeout(Some(CLOSING_TIMEOUT))
            .map_err(io("read timeout"))?;
        Ok((wire, self.inbox))
    }
}

/// Some systems say "not connected", not "would block", while a connection is being made.
fn is_for_later(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}

/// The closing handshake on every connection; returns how many servers' answers were as RFC 6455 section 7 wants them:
/// a close frame with our code, and then the end of the connection.
pub fn close(clients: Vec<Client>, random: &mut Random) -> Result<u64> {
    const NORMAL: [u8; 2] = 1000u16.to_be_bytes();
    let mut closing = Vec::with_capacity(clients.len());
    for client in clients {
        let (mut wire, inbox) = client.into_blocking()?;
        let mut bytes = Vec::new();
        frame::write_masked(
            &mut bytes,
            frame::CLOSE,
            NORMAL.len(),
            random.mask_key(),
            |out| out.extend_from_slice(&NORMAL),
        );
        if wire.write_all(&bytes).is_ok() {
            closing.push((wire, inbox));
        }
    }
    let mut clean = 0;
    let mut late = 0;
    for (mut wire, mut inbox) in closing {
        let mut answered = false;
        let ended = loop {
            match frame::read(inbox.filled()) {
                Ok(Some(frame)) => {
                    answered |= frame.opcode == frame::CLOSE && frame.payload == NORMAL;
                    inbox.start += frame.len;
                    continue;
                }
                Ok(None) => {}
                Err(_) => break false,
            }
            match wire.read(inbox.space()) {
                Ok(0) => break true,
                Ok(count) => inbox.end += count,
                Err(_) => {
                    late += 1;
                    break false;
                }
            }
        };
        clean += u64::from(answered && ended);
        let _ = wire.stream.shutdown(Shutdown::Both);
        if late >= 3 {
            break; // one second each: three silent connections say enough
        }
    }
    Ok(clean)
}
