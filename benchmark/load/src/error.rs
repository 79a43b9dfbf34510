//! What can go wrong in a run.

use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Error {
    /// The operating system refused something.
    Io {
        doing: &'static str,
        source: io::Error,
    },
    /// The server answered something that the protocol, or the case being measured, does not allow.
    Server(String),
    /// Nothing arrived for a long time while something was outstanding.
    Stalled { outstanding: u64 },
    /// The machine cannot do what was asked.
    Unsupported(&'static str),
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Server(what) => write!(f, "server: {what}"),
            Self::Stalled { outstanding } => {
                write!(f, "server: stalled with {outstanding} outstanding")
            }
            Self::Unsupported(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

/// `result.map_err(io("reading"))`
pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { doing, source }
}
