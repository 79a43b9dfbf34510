//! The command line, parsed once into a complete record.

use std::str::FromStr;
use std::time::Duration;

use crate::payload;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Echo,
    Fanout,
    Http,
    Idle,
    Ping,
    Upgrade,
    Distance,
}

#[derive(Debug)]
pub struct Args {
    pub mode: Mode,
    pub port: u16,
    pub path: String,
    pub pid: Option<u32>,
    pub connections: usize,
    pub publishers: usize,
    pub body: String,
    pub size: usize,
    pub depth: usize,
    pub binary: bool,
    pub seconds: Duration,
    pub limit: u64,
    pub warm_up: Duration,
    pub interval: Duration,
    pub spin: bool,
    pub tls: bool,
    pub cpus: (usize, usize),
}

/// Where connections go, on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub port: u16,
    pub path: &'a str,
    pub tls: bool,
}

impl Args {
    /// `None`: the user asked for help.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mode = match words.next().as_deref() {
            Some("echo") => Mode::Echo,
            Some("fanout") => Mode::Fanout,
            Some("http") => Mode::Http,
            Some("idle") => Mode::Idle,
            Some("ping") => Mode::Ping,
            Some("upgrade") => Mode::Upgrade,
            Some("distance") => Mode::Distance,
            None | Some("help" | "--help" | "-h") => return Ok(None),
            Some(other) => return Err(format!("unknown mode {other}")),
        };
        let mut port = None;
        let mut path = None;
        let mut publishers = None;
        let mut args = Self {
            mode,
            port: 0,
            path: String::new(),
            pid: None,
            connections: 64,
            publishers: 0,
            body: String::from("Hello World"),
            size: 20,
            depth: 1,
            binary: false,
            seconds: Duration::from_secs(1),
            limit: match mode {
                // Fewer than there are ports, lest something keeps them busy after all.
                Mode::Upgrade => 20_000,
                _ => u64::MAX,
            },
            warm_up: Duration::from_millis(400),
            interval: Duration::from_millis(5),
            spin: false,
            tls: false,
            cpus: (0, 1),
        };
        while let Some(name) = words.next() {
            let mut value = || words.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--port" => port = Some(number(&name, &value()?)?),
                "--path" => path = Some(value()?),
                "--pid" => args.pid = Some(number(&name, &value()?)?),
                "--connections" => args.connections = number(&name, &value()?)?,
                "--publishers" => publishers = Some(number(&name, &value()?)?),
                "--body" => args.body = value()?,
                "--size" => args.size = number(&name, &value()?)?,
                "--depth" => args.depth = number(&name, &value()?)?,
                "--seconds" => args.seconds = seconds(&name, &value()?)?,
                "--limit" => args.limit = number(&name, &value()?)?,
                "--warm-up" => args.warm_up = seconds(&name, &value()?)?,
                "--interval" => args.interval = Duration::from_millis(number(&name, &value()?)?),
                "--binary" => args.binary = true,
                "--spin" => args.spin = true,
                "--tls" => args.tls = true,
                "--cpus" => {
                    let pair = value()?;
                    let (a, b) = pair
                        .split_once(',')
                        .ok_or("--cpus needs two numbers, as in 0,1")?;
                    args.cpus = (number(&name, a)?, number(&name, b)?);
                }
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("unknown option {other}")),
            }
        }
        args.port = match port {
            Some(port) => port,
            None if mode == Mode::Distance => 0,
            None => return Err("--port is required".into()),
        };
        let default_path = match mode {
            Mode::Fanout => "/room",
            Mode::Http => "/",
            _ => "/echo",
        };
        args.path = path.unwrap_or_else(|| default_path.into());
        args.publishers = publishers.unwrap_or(args.connections);
        args.check().map(|()| Some(args))
    }

    /// Where connections go.
    pub fn target(&self) -> Target<'_> {
        Target {
            port: self.port,
            path: &self.path,
            tls: self.tls,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.connections == 0 || self.connections > 60_000 {
            return Err("--connections must be from 1 to 60000".into());
        }
        if self.publishers == 0 || self.publishers > self.connections {
            return Err("--publishers must be from 1 to the number of connections".into());
        }
        if self.size < payload::MIN_SIZE || self.size > 64 << 20 {
            return Err(format!(
                "--size must be from {} to 64 MiB",
                payload::MIN_SIZE
            ));
        }
        if self.depth == 0 || self.depth > 4096 {
            return Err("--depth must be from 1 to 4096".into());
        }
        if self.mode == Mode::Upgrade && self.tls {
            return Err("upgrade does not speak TLS".into());
        }
        if self.limit == 0 {
            return Err("--limit must not be 0".into());
        }
        if self.interval.is_zero() {
            return Err("--interval must not be 0".into());
        }
        Ok(())
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name}: {value} is not a number in range"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number(name, value)?)
        .map_err(|_| format!("{name}: {value} is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn defaults_follow_the_mode() {
        let args = parse("fanout --port 1 --connections 8").unwrap().unwrap();
        assert_eq!((args.path.as_str(), args.publishers), ("/room", 8));
        assert_eq!(parse("echo --port 1").unwrap().unwrap().path, "/echo");
        assert_eq!(parse("http --port 1").unwrap().unwrap().path, "/");
    }

    #[test]
    fn wrong_input_is_refused() {
        for line in [
            "run",
            "echo",
            "echo --port x",
            "echo --port 1 --size 3",
            "fanout --port 1 --publishers 0",
            "upgrade --port 1 --tls",
            "upgrade --port 1 --limit 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("echo --port 1 --connections").is_err());
        assert!(parse("").unwrap().is_none());
    }
}
