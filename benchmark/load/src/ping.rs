//! Pings at a fixed rate, whatever comes back. A pong's latency counts from the moment its ping was due, so that a
//! stall of the server, or of this process, is charged to every ping that fell into it.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::args::Args;
use crate::client::{self, Random};
use crate::error::{Error, Result, io};
use crate::frame;
use crate::histogram::Histogram;
use crate::report::Report;

const LAST_PONG: Duration = Duration::from_secs(2);

pub fn run(args: &Args) -> Result<Report> {
    let mut random = Random::new();
    let mut clients = client::open(1, args.target(), &mut random)?;
    let client = &mut clients[0];
    let mut poll = Poll::new().map_err(io("creating a poll"))?;
    let mut events = Events::with_capacity(16);
    client.register(poll.registry(), 0)?;

    let count = (args.seconds.as_nanos() / args.interval.as_nanos()).max(1) as u32;
    let begun = Instant::now();
    let due = |number: u32| begun + args.interval * number;
    let (mut sent, mut answered) = (0u32, 0u32);
    let mut latency = Histogram::new();
    let wait = if args.spin {
        Duration::ZERO
    } else {
        Duration::from_millis(1)
    };
    while answered < count {
        while sent < count && Instant::now() >= due(sent) {
            frame::write_masked(&mut client.out, frame::PING, 4, random.mask_key(), |out| {
                out.extend_from_slice(&sent.to_be_bytes())
            });
            sent += 1;
        }
        client.flush()?;
        poll.poll(&mut events, Some(wait)).map_err(io("polling"))?;
        while client.fill()? {}
        let now = Instant::now();
        client.frames(&mut random, |frame, _, _| {
            if frame.opcode != frame::PONG || frame.payload != answered.to_be_bytes() {
                return Err(Error::Server(format!("not the pong of ping {answered}")));
            }
            latency.record((now - due(answered)).as_nanos() as u64);
            answered += 1;
            Ok(())
        })?;
        if now > due(count) + LAST_PONG {
            return Err(Error::Stalled {
                outstanding: u64::from(count - answered),
            });
        }
    }
    let micros = |nanos: Option<f64>| nanos.map(|nanos| nanos / 1e3);
    Ok(Report::default()
        .text("mode", "ping")
        .count("connections", 1u64)
        .count("verified", answered)
        .figure("p50_us", micros(latency.quantile(0.5)))
        .figure("p99_us", micros(latency.quantile(0.99)))
        .figure("max_us", micros(latency.max())))
}
