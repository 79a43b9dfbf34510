//! Echo: what a client sends must come back to it, unchanged and in order.

use std::time::Instant;

use crate::args::Args;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::frame;
use crate::payload::Payload;
use crate::report::Report;
use crate::run::{self, Case, Context, Names};

struct Echo {
    payload: Payload,
    opcode: u8,
    depth: usize,
    states: Vec<State>,
}

/// One connection's numbers: those from `expected` to `next` are in flight.
#[derive(Default)]
struct State {
    expected: u32,
    next: u32,
    /// When the message `n` left, at `n % depth`.
    sent_at: Vec<Option<Instant>>,
}

pub fn run(args: &Args) -> Result<Report> {
    let mut case = Echo {
        payload: Payload::new(args.size, args.binary),
        opcode: if args.binary {
            frame::BINARY
        } else {
            frame::TEXT
        },
        depth: args.depth,
        states: (0..args.connections)
            .map(|_| State {
                sent_at: vec![None; args.depth],
                ..State::default()
            })
            .collect(),
    };
    run::run(args, &mut case)
}

impl Case for Echo {
    const NAMES: Names = Names::of_messages("echo");

    fn size(&self) -> usize {
        self.payload.size()
    }

    fn begin(&mut self, clients: &mut [Client], context: &mut Context) -> Result<()> {
        let Context { tally, random, .. } = context;
        for (index, client) in clients.iter_mut().enumerate() {
            let state = &mut self.states[index];
            for slot in 0..self.depth {
                frame::write_masked(
                    &mut client.out,
                    self.opcode,
                    self.payload.size(),
                    random.mask_key(),
                    |out| {
                        self.payload.write(out, index as u16, state.next);
                    },
                );
                state.next += 1;
                state.sent_at[slot] = Some(Instant::now());
                tally.owed += 1;
            }
            client.flush()?;
        }
        Ok(())
    }

    fn received(&mut self, index: usize, client: &mut Client, context: &mut Context) -> Result<()> {
        let Context { tally, random, .. } = context;
        let Self {
            payload,
            opcode,
            depth,
            states,
        } = self;
        let state = &mut states[index];
        let now = Instant::now();
        client.frames(random, |frame, out, random| {
            let expected = Some((index as u16, state.expected));
            if frame.opcode != *opcode || payload.read(frame.payload) != expected {
                return Err(Error::Server(format!(
                    "connection {index}: not the echo of message {}",
                    state.expected
                )));
            }
            let slot = state.expected as usize % *depth;
            if let Some(sent_at) = state.sent_at[slot] {
                tally.latency.record((now - sent_at).as_nanos() as u64);
            }
            state.expected = state.expected.wrapping_add(1);
            tally.delivered += 1;
            if tally.sending {
                frame::write_masked(out, *opcode, payload.size(), random.mask_key(), |out| {
                    payload.write(out, index as u16, state.next);
                });
                state.sent_at[state.next as usize % *depth] = Some(now);
                state.next = state.next.wrapping_add(1);
                tally.owed += 1;
            }
            Ok(())
        })
    }
}
