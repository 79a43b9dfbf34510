//! HTTP: every connection asks again as soon as it has its answer, and each answer has to be the expected one.

use std::time::Instant;

use crate::args::Args;
use crate::client::{self, Client, Random};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::response;
use crate::run::{self, Case, Context, Names};

struct Http {
    request: Vec<u8>,
    body: Vec<u8>,
    /// When each connection's request left; `None` while nothing is in flight.
    sent_at: Vec<Option<Instant>>,
}

pub fn run(args: &Args) -> Result<Report> {
    let (path, port) = (&args.path, args.port);
    let mut case = Http {
        request: format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").into_bytes(),
        body: args.body.clone().into_bytes(),
        sent_at: vec![None; args.connections],
    };
    run::run(args, &mut case)
}

impl Case for Http {
    const NAMES: Names = Names {
        mode: "http",
        count: "requests",
        rate: "requests_per_s",
        cpu: "cpu_us_per_request",
        js: "js_us_per_request",
    };

    fn size(&self) -> usize {
        self.body.len()
    }

    fn open(&mut self, args: &Args, _: &mut Random) -> Result<Vec<Client>> {
        client::connect(args.connections, args.target())
    }

    fn begin(&mut self, clients: &mut [Client], context: &mut Context) -> Result<()> {
        for (client, sent_at) in clients.iter_mut().zip(&mut self.sent_at) {
            client.out.extend_from_slice(&self.request);
            *sent_at = Some(Instant::now());
            context.tally.owed += 1;
            client.flush()?;
        }
        Ok(())
    }

    fn received(&mut self, index: usize, client: &mut Client, context: &mut Context) -> Result<()> {
        let Self {
            request,
            body,
            sent_at,
        } = self;
        let tally = &mut context.tally;
        let now = Instant::now();
        client.consume(|input, out| {
            let Some(begun) = sent_at[index] else {
                return Err(unasked(index));
            };
            let Some(len) = response::check(input, body)? else {
                return Ok(None);
            };
            if input.len() > len {
                return Err(unasked(index));
            }
            tally.latency.record((now - begun).as_nanos() as u64);
            tally.delivered += 1;
            sent_at[index] = tally.sending.then_some(now);
            if tally.sending {
                out.extend_from_slice(request);
                tally.owed += 1;
            }
            Ok(Some(len))
        })
    }

    fn close(&mut self, _: Vec<Client>, _: &mut Random) -> Result<Option<u64>> {
        Ok(None)
    }
}

fn unasked(index: usize) -> Error {
    Error::Server(format!("connection {index}: sent more than the answer"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello World";

    /// A run on one connection against a server that writes these pieces for each request.
    fn against(pieces: Vec<&'static [u8]>) -> Result<Report> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut input = [0; 1024];
            // The run is over when it closes, or resets, the connection.
            while matches!(stream.read(&mut input), Ok(1..)) {
                for piece in &pieces {
                    if stream.write_all(piece).is_err() {
                        return;
                    }
                }
            }
        });
        let line = format!("http --port {port} --connections 1 --warm-up 0.01 --seconds 0.02");
        let args = Args::parse(line.split_whitespace().map(String::from));
        let outcome = run(&args.unwrap().unwrap());
        server.join().unwrap();
        outcome
    }

    #[test]
    fn counts_answers_however_they_are_split() {
        let one_by_one = ANSWER.chunks(1).collect();
        for pieces in [vec![ANSWER], vec![&ANSWER[..20], &ANSWER[20..]], one_by_one] {
            let json = against(pieces).unwrap().to_json();
            assert!(json.contains(r#""mode":"http""#), "{json}");
            assert!(!json.contains(r#""requests":0,"#), "{json}");
        }
    }

    #[test]
    fn one_wrong_byte_ends_the_run() {
        let wrong: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello World?";
        for pieces in [
            vec![wrong],
            vec![ANSWER, ANSWER],
            vec![&ANSWER[..20], &ANSWER[21..]],
        ] {
            let outcome = against(pieces);
            assert!(matches!(outcome, Err(Error::Server(_))));
        }
    }
}
