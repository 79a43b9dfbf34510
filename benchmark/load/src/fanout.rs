//! Fan-out: every message of every publisher must reach every client, each publisher's messages in order.

use std::time::Instant;

use crate::args::Args;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::frame;
use crate::payload::Payload;
use crate::report::Report;
use crate::run::{self, Case, Context, Names};

struct Fanout {
    payload: Payload,
    opcode: u8,
    publishers: usize,
    connections: usize,
    /// What client c expects next of publisher p, at `c * publishers + p`.
    expected: Vec<u32>,
    sent_at: Vec<Instant>,
}

pub fn run(args: &Args) -> Result<Report> {
    let mut case = Fanout {
        payload: Payload::new(args.size, args.binary),
        opcode: if args.binary {
            frame::BINARY
        } else {
            frame::TEXT
        },
        publishers: args.publishers,
        connections: args.connections,
        expected: vec![0; args.connections * args.publishers],
        sent_at: vec![Instant::now(); args.publishers],
    };
    Ok(run::run(args, &mut case)?.count("publishers", args.publishers as u64))
}

impl Case for Fanout {
    const NAMES: Names = Names::of_messages("fanout");

    fn size(&self) -> usize {
        self.payload.size()
    }

    fn begin(&mut self, clients: &mut [Client], context: &mut Context) -> Result<()> {
        let Context { tally, random, .. } = context;
        for (index, client) in clients.iter_mut().take(self.publishers).enumerate() {
            frame::write_masked(
                &mut client.out,
                self.opcode,
                self.payload.size(),
                random.mask_key(),
                |out| {
                    self.payload.write(out, index as u16, 0);
                },
            );
            self.sent_at[index] = Instant::now();
            tally.owed += self.connections as u64;
            client.flush()?;
        }
        Ok(())
    }

    fn received(&mut self, index: usize, client: &mut Client, context: &mut Context) -> Result<()> {
        let Context { tally, random, .. } = context;
        let Self {
            payload,
            opcode,
            publishers,
            connections,
            expected,
            sent_at,
        } = self;
        let expected = &mut expected[index * *publishers..][..*publishers];
        let now = Instant::now();
        client.frames(random, |frame, out, random| {
            let from = payload
                .read(frame.payload)
                .filter(|_| frame.opcode == *opcode);
            let Some((sender, number)) =
                from.filter(|(sender, _)| usize::from(*sender) < *publishers)
            else {
                return Err(Error::Server(format!(
                    "connection {index}: a message that nobody published"
                )));
            };
            let sender = usize::from(sender);
            if number != expected[sender] {
                let wanted = expected[sender];
                return Err(Error::Server(format!(
                    "connection {index}: message {number} of publisher {sender}, not {wanted}"
                )));
            }
            expected[sender] = number.wrapping_add(1);
            tally.delivered += 1;
            if sender == index {
                tally
                    .latency
                    .record((now - sent_at[index]).as_nanos() as u64);
                if tally.sending {
                    frame::write_masked(out, *opcode, payload.size(), random.mask_key(), |out| {
                        payload.write(out, index as u16, number.wrapping_add(1));
                    });
                    sent_at[index] = now;
                    tally.owed += *connections as u64;
                }
            }
            Ok(())
        })
    }
}
