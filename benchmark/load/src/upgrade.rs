//! Opening handshakes: every connection connects, asks for the upgrade, checks the 101 and is closed at once.
//!
//! It is closed with a reset: an orderly end would leave this side's port in TIME_WAIT for a minute, and a run uses more
//! ports than there are.

use std::time::Instant;

use crate::args::Args;
use crate::client::{Client, Random};
use crate::error::{Error, Result};
use crate::handshake;
use crate::report::Report;
use crate::run::{self, Case, Context, Names};

struct Upgrade<'a> {
    args: &'a Args,
    /// `None`: the connection has been upgraded.
    openings: Vec<Option<Opening>>,
}

struct Opening {
    begun: Instant,
    /// The accept value that the answer must carry.
    accept: String,
}

pub fn run(args: &Args) -> Result<Report> {
    let mut case = Upgrade {
        args,
        openings: Vec::new(),
    };
    run::run(args, &mut case)
}

impl Upgrade<'_> {
    /// A new connection with its request in the output buffer.
    fn start(&self, random: &mut Random) -> Result<(Client, Option<Opening>)> {
        let Args { path, port, .. } = self.args;
        let begun = Instant::now();
        let (request, accept) = handshake::request(path, *port, random.nonce());
        let mut client = Client::connecting(*port)?;
        client.out.extend_from_slice(request.as_bytes());
        Ok((client, Some(Opening { begun, accept })))
    }
}

impl Case for Upgrade<'_> {
    const NAMES: Names = Names {
        mode: "upgrade",
        count: "upgrades",
        rate: "upgrades_per_s",
        cpu: "cpu_us_per_upgrade",
        js: "js_us_per_upgrade",
    };

    fn size(&self) -> usize {
        0
    }

    fn open(&mut self, args: &Args, random: &mut Random) -> Result<Vec<Client>> {
        let started = (0..args.connections).map(|_| self.start(random));
        let (clients, openings) = started.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        self.openings = openings;
        Ok(clients)
    }

    fn begin(&mut self, clients: &mut [Client], context: &mut Context) -> Result<()> {
        context.tally.owed = clients.len() as u64;
        Ok(())
    }

    fn received(&mut self, index: usize, client: &mut Client, context: &mut Context) -> Result<()> {
        let now = Instant::now();
        let opening = self.openings[index].as_ref();
        let mut begun = None;
        client.consume(|input, _| {
            let Some(opening) = opening else {
                return Err(unasked());
            };
            let Some(len) = handshake::check_response(input, &opening.accept)? else {
                return Ok(None);
            };
            if input.len() > len {
                return Err(unasked());
            }
            begun = Some(opening.begun);
            Ok(Some(len))
        })?;
        let Some(begun) = begun else {
            return Ok(());
        };
        let tally = &mut context.tally;
        tally.latency.record((now - begun).as_nanos() as u64);
        tally.delivered += 1;
        if tally.sending {
            tally.owed += 1;
            (*client, self.openings[index]) = self.start(&mut context.random)?;
            client.register(&context.registry, index)
        } else {
            self.openings[index] = None;
            Ok(())
        }
    }

    fn close(&mut self, _: Vec<Client>, _: &mut Random) -> Result<Option<u64>> {
        Ok(None)
    }
}

fn unasked() -> Error {
    Error::Server("sent something after the 101, unasked".into())
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;

    const KEY: &str = "Sec-WebSocket-Key: ";

    /// Answers an opening handshake, with `more` behind the answer, and returns how the connection ended; `None` if the
    /// request has no key.
    fn answer(stream: &mut TcpStream, more: &[u8]) -> Option<ErrorKind> {
        let mut bytes = [0; 1024];
        let mut len = 0;
        while !bytes[..len].ends_with(b"\r\n\r\n") {
            len += stream.read(&mut bytes[len..]).unwrap();
        }
        let request = std::str::from_utf8(&bytes[..len]).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix(KEY))?;
        let accept = handshake::accept_of(key);
        stream.set_nodelay(true).unwrap();
        let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
        stream.write_all(start.as_bytes()).unwrap();
        let rest = format!("Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
        stream.write_all(&[rest.as_bytes(), more].concat()).unwrap();
        Some(match stream.read(&mut bytes) {
            Ok(_) => ErrorKind::UnexpectedEof,
            Err(error) => error.kind(),
        })
    }

    /// A run of five upgrades, one after the other, and how each ended as the server saw it.
    fn against(more: &'static [u8]) -> (Result<Report>, Vec<ErrorKind>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut ends = Vec::new();
            while let Some(end) = answer(&mut listener.accept().unwrap().0, more) {
                ends.push(end);
            }
            ends
        });
        let port = address.port();
        let line =
            format!("upgrade --port {port} --connections 1 --warm-up 0 --seconds 60 --limit 5");
        let args = Args::parse(line.split_whitespace().map(String::from));
        let outcome = run(&args.unwrap().unwrap());
        let mut last = TcpStream::connect(address).unwrap();
        last.write_all(b"stop\r\n\r\n").unwrap();
        (outcome, server.join().unwrap())
    }

    #[test]
    fn upgrades_up_to_the_limit_and_resets_each_connection() {
        let (outcome, ends) = against(b"");
        let json = outcome.unwrap().to_json();
        assert!(json.contains(r#""upgrades":5,"#), "{json}");
        assert!(ends.len() > 5);
        if cfg!(unix) {
            assert!(ends.iter().all(|end| *end == ErrorKind::ConnectionReset));
        }
    }

    #[test]
    fn bytes_behind_the_answer_end_the_run() {
        let (outcome, _) = against(b"\x81\x01x");
        assert!(matches!(outcome, Err(Error::Server(_))));
    }
}
