//! Idle connections: how fast they open, what each costs while nothing happens, and that all of them still work after.

use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::args::Args;
use crate::client::{self, Random};
use crate::error::{Error, Result, io};
use crate::frame;
use crate::payload::Payload;
use crate::report::Report;
use crate::server_process::ServerProcess;

/// Opened, used and held before the baseline, so that start-up costs are not charged to the connections counted.
const WARM_UP_CONNECTIONS: usize = 100;
const SETTLE: Duration = Duration::from_millis(300);

pub fn run(args: &Args) -> Result<Report> {
    let mut random = Random::new();
    let server = ServerProcess::new(args.pid);
    let warm = client::open(WARM_UP_CONNECTIONS, args.target(), &mut random)?;
    thread::sleep(SETTLE);
    let before = server.resident_bytes();

    let start = Instant::now();
    let mut clients = client::open(args.connections, args.target(), &mut random)?;
    let opening = start.elapsed().as_secs_f64();
    thread::sleep(SETTLE);

    let cpu_before = server.cpu_time();
    let hold = Instant::now();
    thread::sleep(args.seconds);
    let cpu_after = server.cpu_time();
    let held_us = hold.elapsed().as_secs_f64() * 1e6;
    let after = server.resident_bytes();

    let payload = Payload::new(args.size, args.binary);
    let opcode = if args.binary {
        frame::BINARY
    } else {
        frame::TEXT
    };
    let mut poll = Poll::new().map_err(io("creating a poll"))?;
    let mut events = Events::with_capacity(1024);
    for (index, client) in clients.iter_mut().enumerate() {
        client.register(poll.registry(), index)?;
        frame::write_masked(
            &mut client.out,
            opcode,
            payload.size(),
            random.mask_key(),
            |out| payload.write(out, index as u16, 0),
        );
        client.flush()?;
    }
    let mut alive = 0u64;
    let deadline = Instant::now() + Duration::from_secs(10);
    while alive < clients.len() as u64 {
        if Instant::now() > deadline {
            return Err(Error::Stalled {
                outstanding: clients.len() as u64 - alive,
            });
        }
        poll.poll(&mut events, Some(Duration::from_millis(100)))
            .map_err(io("polling"))?;
        for event in events.iter().filter(|event| event.is_readable()) {
            let index = event.token().0;
            let client = &mut clients[index];
            while client.fill()? {}
            client.frames(&mut random, |frame, _, _| {
                if frame.opcode != opcode || payload.read(frame.payload) != Some((index as u16, 0))
                {
                    return Err(Error::Server(format!(
                        "connection {index}: not the echo of its message"
                    )));
                }
                alive += 1;
                Ok(())
            })?;
        }
    }

    drop(warm);
    let count = args.connections as f64;
    let cpu_us = cpu_before
        .zip(cpu_after)
        .map(|(a, b)| b.process.saturating_sub(a.process) as f64 / 1e3);
    Ok(Report::default()
        .text("mode", "idle")
        .count("connections", args.connections as u64)
        .count("verified", alive)
        .figure(
            "bytes_per_connection",
            before.zip(after).map(|(a, b)| (b - a) / count),
        )
        .figure("connects_per_s", count / opening)
        .figure("idle_cpu_percent", cpu_us.map(|us| us / held_us * 100.0))
        .figure("rss_mib", after.map(|bytes| bytes / f64::from(1 << 20))))
}
