//! Rust errors as JavaScript errors. Their texts are made in JavaScript, from the code.

use super::raw::Js;
use crate::hub::server::BindError;
use crate::session::TlsError;
use std::io;

/// Throws what a bind failed with: an Error with `code`, `syscall` and a negative `errno`, as Node's own.
pub(super) fn throw_bind(js: Js, error: &BindError) {
    let (code, errno, text) = match error {
        BindError::NotFound => ("ENOTFOUND", -3008, "the name has no address".to_owned()),
        BindError::Os(error) => (
            code_of(error),
            -error.raw_os_error().unwrap_or(0),
            error.to_string(),
        ),
    };
    let value = js.error(&text);
    js.set(value, "code", js.utf8(code.as_bytes()));
    js.set(value, "errno", js.number(f64::from(errno)));
    let syscall = if code == "ENOTFOUND" {
        "getaddrinfo"
    } else {
        "listen"
    };
    js.set(value, "syscall", js.utf8(syscall.as_bytes()));
    js.throw(value);
}

/// Throws what was wrong with TLS material: an Error with a `code` of our own, and which part it was.
pub(super) fn throw_tls(js: Js, error: TlsError) {
    let (code, index) = match error {
        TlsError::Key(index) => ("TLS_KEY", index),
        TlsError::Mismatch(index) => ("TLS_MISMATCH", index),
        TlsError::Authority(index) => ("TLS_AUTHORITY", index),
        TlsError::Nothing => ("TLS_NOTHING", 0),
    };
    let value = js.error("the TLS material cannot be used");
    js.set(value, "code", js.utf8(code.as_bytes()));
    js.set(value, "index", js.number(index as f64));
    js.throw(value);
}

fn code_of(error: &io::Error) -> &'static str {
    use io::ErrorKind as K;
    match error.kind() {
        K::AddrInUse => "EADDRINUSE",
        K::AddrNotAvailable => "EADDRNOTAVAIL",
        K::PermissionDenied => "EACCES",
        K::NotFound => "ENOENT",
        K::NotADirectory => "ENOTDIR",
        K::InvalidInput => "EINVAL",
        K::Unsupported => "EAFNOSUPPORT",
        K::OutOfMemory => "ENOMEM",
        K::ReadOnlyFilesystem => "EROFS",
        K::InvalidFilename => "ENAMETOOLONG",
        _ => match error.raw_os_error() {
            #[cfg(unix)]
            Some(libc::EMFILE) => "EMFILE",
            #[cfg(unix)]
            Some(libc::ENFILE) => "ENFILE",
            #[cfg(unix)]
            Some(libc::EAFNOSUPPORT) => "EAFNOSUPPORT",
            _ => "EIO",
        },
    }
}
