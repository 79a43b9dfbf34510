//! The course of a measured run: warm up, measure, stop sending, wait for what is outstanding.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry};

use crate::args::Args;
use crate::client::{self, Client, Random};
use crate::cores::{Accounts, Cores};
use crate::error::{Error, Result, io};
use crate::histogram::Histogram;
use crate::report::Report;
use crate::server_process::{CpuTime, ServerProcess};

const STALL: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Drain,
}

/// What the cases count.
pub struct Tally {
    /// Messages that reached a client, since the start.
    pub delivered: u64,
    /// Messages sent, times the clients each has to reach.
    pub owed: u64,
    pub latency: Histogram,
    /// While false, nothing new is sent.
    pub sending: bool,
}

/// What a case works with besides its connections.
pub struct Context {
    pub tally: Tally,
    pub random: Random,
    pub registry: Registry,
}

/// What a case and its figures are called.
pub struct Names {
    pub mode: &'static str,
    /// What is counted, in the plural.
    pub count: &'static str,
    pub rate: &'static str,
    pub cpu: &'static str,
    pub js: &'static str,
}

impl Names {
    pub const fn of_messages(mode: &'static str) -> Self {
        Self {
            mode,
            count: "messages",
            rate: "messages_per_s",
            cpu: "cpu_us_per_message",
            js: "js_us_per_message",
        }
    }
}

/// One case: what to send first, and what to do with what comes back. It speaks WebSocket unless it opens and closes its
/// connections in a way of its own.
pub trait Case {
    const NAMES: Names;

    /// Bytes of payload in each of the things counted.
    fn size(&self) -> usize;

    fn open(&mut self, args: &Args, random: &mut Random) -> Result<Vec<Client>> {
        client::open(args.connections, args.target(), random)
    }

    fn begin(&mut self, clients: &mut [Client], context: &mut Context) -> Result<()>;

    /// Consumes what has arrived at a client after a read, and fills its output buffer.
    fn received(&mut self, index: usize, client: &mut Client, context: &mut Context) -> Result<()>;

    /// Ends all connections; returns on how many of them the closing handshake was complete, if there is one.
    fn close(&mut self, clients: Vec<Client>, random: &mut Random) -> Result<Option<u64>> {
        client::close(clients, random).map(Some)
    }
}

/// The state of things at one end of the measured time.
struct Sample {
    taken: Instant,
    cpu: Option<CpuTime>,
    accounts: Accounts,
    delivered: u64,
}

impl Sample {
    fn take(server: ServerProcess, cores: &Cores, tally: &Tally) -> Self {
        Self {
            accounts: cores.accounts(),
            cpu: server.cpu_time(),
            delivered: tally.delivered,
            taken: Instant::now(),
        }
    }
}

pub fn run<C: Case>(args: &Args, case: &mut C) -> Result<Report> {
    let server = ServerProcess::new(args.pid);
    let cores = Cores::of(args.pid);
    let mut poll = Poll::new().map_err(io("creating a poll"))?;
    let mut events = Events::with_capacity(1024);

    let mut context = Context {
        tally: Tally {
            delivered: 0,
            owed: 0,
            latency: Histogram::new(),
            sending: true,
        },
        random: Random::new(),
        registry: poll
            .registry()
            .try_clone()
            .map_err(io("creating a registry"))?,
    };
    let mut clients = case.open(args, &mut context.random)?;
    for (index, client) in clients.iter_mut().enumerate() {
        client.register(&context.registry, index)?;
    }
    case.begin(&mut clients, &mut context)?;

    let begun = Instant::now();
    let mut phase = Phase::WarmUp;
    let mut first = None;
    let mut figures = None;
    let mut rss = None;
    let mut progress = (begun, 0);
    let wait = if args.spin { Duration::ZERO } else { TICK };
    loop {
        poll.poll(&mut events, Some(wait))
            .or_else(ignore_interrupt)
            .map_err(io("polling"))?;
        for event in &events {
            let index = event.token().0;
            let client = &mut clients[index];
            if event.is_writable() {
                client.flush()?;
            }
            if event.is_readable() || event.is_read_closed() {
                let mut more = true;
                while more {
                    more = client.fill()?;
                    case.received(index, client, &mut context)?;
                    client.flush()?;
                }
            }
        }

        let now = Instant::now();
        let tally = &mut context.tally;
        if tally.delivered != progress.1 {
            progress = (now, tally.delivered);
        } else if now - progress.0 > STALL {
            return Err(Error::Stalled {
                outstanding: tally.owed - tally.delivered,
            });
        }
        match phase {
            Phase::WarmUp if now - begun >= args.warm_up || tally.delivered >= args.limit => {
                phase = Phase::Measure;
                tally.latency.clear();
                first = Some(Sample::take(server, &cores, tally));
            }
            Phase::Measure => {
                let Some(first) = first.as_ref().filter(|first| {
                    now - first.taken >= args.seconds
                        || tally.delivered - first.delivered >= args.limit
                }) else {
                    continue;
                };
                let last = Sample::take(server, &cores, tally);
                figures = Some(Figures::between(first, &last, &tally.latency));
                rss = server.resident_bytes();
                phase = Phase::Drain;
                tally.sending = false;
            }
            Phase::Drain if tally.delivered == tally.owed => break,
            _ => {}
        }
    }
    let closed = case.close(clients, &mut context.random)?;
    let figures = figures.ok_or(Error::Unsupported("no figures were taken"))?;
    let report = figures
        .report(args, &C::NAMES, case.size(), &context.tally)
        .figure("rss_mib", rss.map(|bytes| bytes / f64::from(1 << 20)));
    Ok(match closed {
        Some(closed) => report.count("closed_cleanly", closed),
        None => report,
    })
}

fn ignore_interrupt(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::Interrupted {
        Ok(())
    } else {
        Err(error)
    }
}

struct Figures {
    seconds: f64,
    count: u64,
    cpu_us: Option<f64>,
    js_us: Option<f64>,
    others: Option<f64>,
    latency_us: [Option<f64>; 3],
}

impl Figures {
    fn between(first: &Sample, last: &Sample, latency: &Histogram) -> Self {
        let between = first.cpu.zip(last.cpu);
        let micros = |part: fn(CpuTime) -> u64| {
            between.map(|(a, b)| part(b).saturating_sub(part(a)) as f64 / 1e3)
        };
        Self {
            seconds: (last.taken - first.taken).as_secs_f64(),
            count: last.delivered - first.delivered,
            cpu_us: micros(|time| time.process),
            js_us: micros(|time| time.main_thread),
            others: first.accounts.taken_by_others(&last.accounts),
            latency_us: [0.5, 0.99, 0.999].map(|q| latency.quantile(q).map(|nanos| nanos / 1e3)),
        }
    }

    fn report(&self, args: &Args, names: &Names, size: usize, tally: &Tally) -> Report {
        let count = self.count as f64;
        let [p50, p99, p999] = self.latency_us;
        Report::default()
            .text("mode", names.mode)
            .count("connections", args.connections as u64)
            .count("size", size as u64)
            .count(names.count, self.count)
            .count("verified", tally.delivered)
            .figure("seconds", self.seconds)
            .figure(names.rate, count / self.seconds)
            .figure(
                "mib_per_s",
                count * size as f64 / self.seconds / f64::from(1 << 20),
            )
            .figure(names.cpu, self.cpu_us.map(|us| us / count))
            .figure(names.js, self.js_us.map(|us| us / count))
            .figure("cores", self.cpu_us.map(|us| us / 1e6 / self.seconds))
            .figure("others_percent", self.others.map(|share| share * 100.0))
            .figure("p50_us", p50)
            .figure("p99_us", p99)
            .figure("p999_us", p999)
    }
}
