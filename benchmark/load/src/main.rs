//! The load generator of the ferrows benchmark.
//!
//! One thread drives many client connections against one server on this machine and prints one JSON object.
//! `ferrows-load help` lists the modes and options.
//!
//! A figure is worth something only when the work was done: what a server sends is checked (opening handshake, frame
//! headers, payload, order, completeness; status, length and body), and the first deviation ends the run with an error.

mod args;
mod client;
mod cores;
mod distance;
mod echo;
mod error;
mod fanout;
mod frame;
mod handshake;
mod head;
mod histogram;
mod http;
mod idle;
mod payload;
mod ping;
mod report;
mod response;
mod run;
mod server_process;
mod system;
mod upgrade;
mod wire;

use std::process::ExitCode;

use args::{Args, Mode};

const HELP: &str = "\
usage: ferrows-load MODE [options]

modes
  echo      every connection keeps DEPTH messages in flight and answers each echo with a new message
  fanout    PUBLISHERS of the connections each keep one message in flight; all connections must get every message
  http      every connection keeps one GET in flight; each answer must be a 200 with the body BODY
  idle      opens connections, holds them, and reports memory per connection and connections per second
  ping      sends pings at a fixed rate and reports how long each pong took, counted from when the ping was due
  upgrade   every connection connects, makes the opening handshake, is reset, and begins anew
  distance  one-way time of a cache line between two cores (--cpus A,B); Linux only

options
  --port N            port of the server on 127.0.0.1 (required, but for distance)
  --path PATH         request target, default /echo (fanout: /room, http: /)
  --pid PID           server process to account for; without it there are no CPU and memory figures
  --connections N     default 64
  --publishers N      fanout: default all connections
  --body TEXT         http: the body that is expected, default Hello World
  --size BYTES        payload, at least 12, default 20
  --depth N           echo: default 1
  --binary            binary messages, not text
  --seconds S         measured time, default 1
  --limit N           the measured time, and the warm-up, end when so much was counted; upgrade: default 20000
  --warm-up S         time before it, default 0.4
  --interval MS       ping: default 5
  --tls               speak TLS, with any certificate being good
  --spin              poll without sleeping, so that the server never pays for waking this process
  --cpus A,B          distance: the two cores
";

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("ferrows-load: {message}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    system::raise_open_file_limit();
    let outcome = match args.mode {
        Mode::Echo => echo::run(&args),
        Mode::Fanout => fanout::run(&args),
        Mode::Http => http::run(&args),
        Mode::Idle => idle::run(&args),
        Mode::Ping => ping::run(&args),
        Mode::Upgrade => upgrade::run(&args),
        Mode::Distance => distance::run(&args),
    };
    match outcome {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ferrows-load: {error}");
            ExitCode::FAILURE
        }
    }
}
