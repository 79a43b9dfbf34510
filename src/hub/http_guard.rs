//! What hyper may see of a connection: one request at a time, and only what is unmistakable.
//!
//! hyper reads requests more leniently than a server should that may stand behind a proxy: it takes bare line feeds, a
//! second length, a coding it does not know. A request that two readers can understand in two ways is how requests are
//! smuggled (RFC 9112, 11.2). So each head is checked line by line as it arrives, and the framing of its body is
//! followed; what is refused never reaches hyper, and with it no handler.
//!
//! The head is kept until it is complete. What comes behind a request is kept unread until that request is answered: it
//! may be the next request, or the first frames of a WebSocket.

use super::http::HEAD_LIMIT;

/// Fields a request may have.
const FIELD_LIMIT: usize = 200;
/// Bytes of chunk extensions, and of trailers, that a body may have.
const EXTRA_LIMIT: usize = 4 << 10;

/// Fields that hyper, or what looks at its requests, has a use for.
const SEEN_BY_HYPER: [&[u8]; 10] = [
    b"host",
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"if-none-match",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
];

/// The status a request is refused with.
pub(super) type Refusal = u16;

const CONNECT: &[u8] = b"CONNECT ";
/// An unknown method of the same length.
const CONNECT_STAND_IN: &[u8] = b"CONNEXT ";

const BAD_REQUEST: Refusal = 400;
const TOO_LARGE: Refusal = 431;
const VERSION_UNKNOWN: Refusal = 505;

/// Follows the requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Guard {
    state: State,
    head: Head,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// Bytes of the body that are still to come.
    Body(u64),
    Chunked(Chunked),
    /// The request is complete.
    Complete,
}

/// What has been passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Bytes of the input that belong to the request. What is behind them is of the next one.
    pub(super) used: usize,
    /// The head became complete with them.
    pub(super) head: bool,
    /// How many of them are of the head.
    pub(super) head_used: usize,
}

impl Guard {
    /// Whether a request has arrived completely.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Whether a head has begun and is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head) && !self.head.bytes.is_empty()
    }

    /// Whether a body is arriving.
    pub(super) fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_) | State::Chunked(_))
    }

    /// The next request may come.
    pub(super) fn begin(&mut self) {
        self.state = State::Head;
        self.head = Head::default();
    }

    /// The head, once; it is complete.
    pub(super) fn take_head(&mut self) -> Head {
        std::mem::take(&mut self.head)
    }

    /// Looks at bytes that have arrived. Bytes of a head are kept here; those of a body are the caller's to pass on.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Passed, Refusal> {
        let mut passed = Passed::default();
        if matches!(self.state, State::Head) {
            let (used, complete) = self.head.advance(bytes)?;
            passed.used = used;
            passed.head_used = used;
            if !complete {
                return Ok(passed);
            }
            passed.head = true;
            self.state = match self.head.framing {
                Framing::None | Framing::Length(0) => State::Complete,
                Framing::Length(length) => State::Body(length),
                Framing::Chunked => State::Chunked(Chunked::default()),
            };
        }
        let rest = &bytes[passed.used..];
        match &mut self.state {
            State::Head | State::Complete => {}
            State::Body(left) => {
                let used = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left -= used as u64;
                passed.used += used;
                if *left == 0 {
                    self.state = State::Complete;
                }
            }
            State::Chunked(chunked) => {
                let (used, complete) = chunked.advance(rest)?;
                passed.used += used;
                if complete {
                    self.state = State::Complete;
                }
            }
        }
        Ok(passed)
    }
}

/// How the end of a body is known.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
}

/// A request's head.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// All of it, with the empty line at its end.
    bytes: Vec<u8>,
    target: std::ops::Range<usize>,
    line: usize,
    /// Bytes of the request line, with its end.
    request_line: usize,
    /// Lines that hyper is to see.
    framing_lines: Vec<std::ops::Range<usize>>,
    /// What JavaScript is to see.
    text: Vec<u8>,
    fields: usize,
    hosts: usize,
    is_old: bool,
    has_request_line: bool,
    framing: Framing,
}

impl Head {
    /// The request target as it was sent, with its fragment if there is one.
    pub(super) fn target(&self) -> &[u8] {
        &self.bytes[self.target.clone()]
    }

    /// A method that hyper would take for the end of HTTP, as a proxy does.
    pub(super) fn is_connect(&self) -> bool {
        self.bytes.starts_with(CONNECT)
    }

    /// What hyper is to see: the request line and the fields that decide how the message is read; the others would only be parsed once more.
    pub(super) fn to_passed(&self) -> Vec<u8> {
        let mut passed = Vec::with_capacity(self.bytes.len());
        passed.extend_from_slice(&self.bytes[..self.request_line]);
        if self.is_connect() {
            passed[..CONNECT.len()].copy_from_slice(CONNECT_STAND_IN);
        }
        for line in &self.framing_lines {
            passed.extend_from_slice(&self.bytes[line.clone()]);
        }
        passed.extend_from_slice(b"\r\n");
        passed
    }

    /// `name: value\n` for each field, in order of arrival, names in lower case.
    pub(super) fn take_fields(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Takes bytes up to the end of the head; says how many, and whether the end was among them.
    fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            if self.bytes.len() + end > HEAD_LIMIT {
                return Err(TOO_LARGE);
            }
            self.bytes.extend_from_slice(&rest[..end]);
            used += end;
            let line = &self.bytes[self.line..];
            if !line.ends_with(b"\n") {
                self.check_beginning()?;
                return Ok((used, false));
            }
            let Some(line) = line.strip_suffix(b"\r\n") else {
                // A bare line feed: some readers take it for the end of a line, some do not. Behind the version Bun
                // calls it a version it does not know.
                let is_first = !self.has_request_line && line.len() > 1;
                return Err(if is_first {
                    VERSION_UNKNOWN
                } else {
                    BAD_REQUEST
                });
            };
            if line.is_empty() {
                return self.finish().map(|()| (used, true));
            }
            let range = self.line..self.line + line.len();
            if self.has_request_line {
                self.field(range)?;
            } else {
                self.request_line(range)?;
            }
            self.line = self.bytes.len();
        }
        Ok((used, false))
    }

    /// What no request begins with, such as a TLS handshake, need not be read to the end of a line.
    fn check_beginning(&self) -> Result<(), Refusal> {
        if self.has_request_line
            || self
                .bytes
                .first()
                .is_none_or(|byte| is_token(*byte) || *byte == b'\r')
        {
            Ok(())
        } else {
            Err(BAD_REQUEST)
        }
    }

    /// RFC 9112, 3: method, target and version, with one space between them.
    fn request_line(&mut self, range: std::ops::Range<usize>) -> Result<(), Refusal> {
        let line = &self.bytes[range];
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BAD_REQUEST);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || !is_target(target) {
            return Err(BAD_REQUEST);
        }
        self.is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(VERSION_UNKNOWN);
            }
            _ => return Err(BAD_REQUEST),
        };
        let start = method.len() + 1;
        self.target = start..start + target.len();
        self.has_request_line = true;
        self.request_line = self.bytes.len();
        Ok(())
    }

    /// RFC 9112, 5. A blank in front of the colon, or a line that goes on with the one before, is not taken.
    fn field(&mut self, range: std::ops::Range<usize>) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > FIELD_LIMIT {
            return Err(TOO_LARGE);
        }
        let line = range.start..self.bytes.len();
        let (name, value) = split_field(&self.bytes[range])?;
        self.text.reserve(name.len() + value.len() + 3);
        self.text.extend(name.iter().map(u8::to_ascii_lowercase));
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.push(b'\n');
        if SEEN_BY_HYPER
            .iter()
            .any(|seen| name.eq_ignore_ascii_case(seen))
        {
            self.framing_lines.push(line);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 || !value.iter().all(|byte| is_host(*byte)) {
                    return Err(BAD_REQUEST);
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.framing != Framing::None {
                    return Err(BAD_REQUEST);
                }
                self.framing = Framing::Length(decimal(value).ok_or(BAD_REQUEST)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.framing != Framing::None
                    || self.is_old
                    || !value.eq_ignore_ascii_case(b"chunked")
                {
                    return Err(BAD_REQUEST);
                }
                self.framing = Framing::Chunked;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Refusal> {
        // RFC 9112, 3.2.
        if self.has_request_line && (self.is_old || self.hosts == 1) {
            Ok(())
        } else {
            Err(BAD_REQUEST)
        }
    }
}

/// A body in chunks (RFC 9112, 7.1).
#[derive(Debug, Default)]
struct Chunked {
    at: Chunk,
    /// Bytes of the chunk that are to come, or its size as far as it has been read.
    size: u64,
    digits: u32,
    /// Bytes of extensions and trailers so far.
    extra: usize,
    /// A line of the trailers.
    line: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Chunk {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    Trailer,
}

impl Chunked {
    fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            if matches!(self.at, Chunk::Data) {
                let rest = bytes.len() - used;
                let taken = usize::try_from(self.size).map_or(rest, |size| size.min(rest));
                used += taken;
                self.size -= taken as u64;
                if self.size == 0 {
                    self.at = Chunk::DataReturn;
                }
                continue;
            }
            used += 1;
            self.at = match (self.at, byte) {
                (Chunk::Size, _) if byte.is_ascii_hexdigit() => {
                    // 15 digits are more than any limit on a body.
                    self.digits += 1;
                    if self.digits > 15 {
                        return Err(BAD_REQUEST);
                    }
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    self.size = self.size << 4 | u64::from(digit);
                    Chunk::Size
                }
                (Chunk::Size, b'\r') if self.digits > 0 => Chunk::SizeEnd,
                (Chunk::Size, b';') if self.digits > 0 => Chunk::Extension,
                (Chunk::Extension, b'\r') => Chunk::SizeEnd,
                (Chunk::Extension, _) if is_text(byte) => {
                    self.count_extra()?;
                    Chunk::Extension
                }
                (Chunk::SizeEnd, b'\n') => {
                    self.digits = 0;
                    if self.size == 0 {
                        Chunk::Trailer
                    } else {
                        Chunk::Data
                    }
                }
                (Chunk::DataReturn, b'\r') => Chunk::DataEnd,
                (Chunk::DataEnd, b'\n') => Chunk::Size,
                (Chunk::Trailer, b'\n') => {
                    let Some(line) = self.line.strip_suffix(b"\r") else {
                        return Err(BAD_REQUEST);
                    };
                    if line.is_empty() {
                        return Ok((used, true));
                    }
                    check_trailer(line)?;
                    self.line.clear();
                    Chunk::Trailer
                }
                (Chunk::Trailer, _) => {
                    self.count_extra()?;
                    self.line.push(byte);
                    Chunk::Trailer
                }
                _ => return Err(BAD_REQUEST),
            };
        }
        Ok((used, false))
    }

    fn count_extra(&mut self) -> Result<(), Refusal> {
        self.extra += 1;
        if self.extra > EXTRA_LIMIT {
            Err(BAD_REQUEST)
        } else {
            Ok(())
        }
    }
}

/// RFC 9110, 6.5.1: a trailer says nothing about where a message ends or whom it is for.
fn check_trailer(line: &[u8]) -> Result<(), Refusal> {
    let (name, _) = split_field(line)?;
    let is_forbidden = [&b"content-length"[..], b"transfer-encoding", b"host"]
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    if is_forbidden {
        Err(BAD_REQUEST)
    } else {
        Ok(())
    }
}

fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = memchr::memchr(b':', line).ok_or(BAD_REQUEST)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty()
        || !name.iter().all(|byte| is_token(*byte))
        || !value.iter().all(|byte| is_text(*byte))
    {
        return Err(BAD_REQUEST);
    }
    Ok((name, value.trim_ascii()))
}

/// A path, or an absolute URL with an authority. `*` and the form of CONNECT are refused, as in Bun.
fn is_target(target: &[u8]) -> bool {
    if !target.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
        return false;
    }
    target.first() == Some(&b'/')
        || absolute_authority(target).is_some_and(|authority| {
            !authority.is_empty() && authority.iter().all(|byte| is_host(*byte))
        })
}

/// Of a target in absolute form.
fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let rest = after_scheme(target)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The path of a target, without its query: what routes are matched on. Neither decoded nor normalised.
pub(super) fn path_of(target: &[u8]) -> &[u8] {
    let path = match absolute_authority(target) {
        Some(authority) => {
            let skipped = target.len() - after_scheme(target).map_or(0, <[u8]>::len);
            &target[skipped + authority.len()..]
        }
        None => target,
    };
    let path = &path[..memchr::memchr(b'?', path).unwrap_or(path.len())];
    if path.first() == Some(&b'/') {
        path
    } else {
        b"/"
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// What may be in a field's value (RFC 9110, 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// What a host and a port are made of (RFC 3986, 3.2.2).
fn is_host(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
    ) && byte != b','
        || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const CODED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Everything in steps of so many bytes: how many were used, and whether the request is complete.
    fn feed(bytes: &[u8], step: usize) -> Result<(usize, bool), Refusal> {
        let mut guard = Guard::default();
        let mut used = 0;
        for piece in bytes.chunks(step) {
            used += guard.advance(piece)?.used;
            if guard.is_complete() {
                break;
            }
        }
        Ok((used, guard.is_complete()))
    }

    #[test]
    fn stops_at_the_end_of_a_request() {
        let with_length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_vec();
        let coded = [CODED, b"3;x=1\r\nabc\r\n0\r\nX: 1\r\n\r\n"].concat();
        for request in [HEAD.to_vec(), with_length, coded] {
            let followed = [&request[..], b"GET"].concat();
            assert_eq!(feed(&followed, usize::MAX), Ok((request.len(), true)));
            assert_eq!(feed(&followed, 1), Ok((request.len(), true)));
            assert_eq!(
                feed(&request[..request.len() - 1], 1),
                Ok((request.len() - 1, false))
            );
        }
    }

    #[test]
    fn gives_the_target_as_it_was_sent() {
        for (target, path) in [
            ("/a?b#c", "/a"),
            ("/a#b?c", "/a#b"),
            ("/%41//..", "/%41//.."),
            ("http://h/a?b", "/a"),
            ("HTTPS://h:1/a", "/a"),
            ("http://h", "/"),
            ("http://h?x", "/"),
        ] {
            let mut guard = Guard::default();
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(
                guard
                    .advance(head.as_bytes())
                    .is_ok_and(|passed| passed.head)
            );
            let head = guard.take_head();
            assert_eq!(head.target(), target.as_bytes());
            assert_eq!(path_of(head.target()), path.as_bytes());
        }
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit() {
        let head = |len: usize| {
            let filler = len - HEAD.len() - "X: \r\n".len();
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(filler)
            )
            .into_bytes()
        };
        assert_eq!(feed(&head(HEAD_LIMIT), 1000), Ok((HEAD_LIMIT, true)));
        assert_eq!(feed(&head(HEAD_LIMIT + 1), 1000), Err(TOO_LARGE));
    }

    #[test]
    fn a_request_may_have_as_many_fields_as_the_limit() {
        let head = |fields: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: 1\r\n".repeat(fields - 1)
            )
            .into_bytes()
        };
        assert!(feed(&head(FIELD_LIMIT), 1000).is_ok());
        assert_eq!(feed(&head(FIELD_LIMIT + 1), 1000), Err(TOO_LARGE));
    }

    #[test]
    fn hides_connect_from_hyper() {
        let mut guard = Guard::default();
        let passed = guard.advance(b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(passed.is_ok_and(|passed| passed.head));
        let head = guard.take_head();
        assert!(head.is_connect());
        assert!(head.to_passed().starts_with(b"CONNEXT /a HTTP/1.1"));
    }

    proptest! {
        /// Wherever the stream is cut, the verdict is the same.
        #[test]
        fn any_split_is_judged_alike(
            tail in "(Content-Length|Transfer-Encoding|Host|X)? ?:? ?(chunked|[0-9a-f,]{0,4})(\r\n|\n|\r)?",
            body in "([0-9a-f;]{1,3}(\r\n|\n))?[a-c\r\n]{0,8}(0\r\n\r\n)?",
            step in 1_usize..40,
        ) {
            let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{tail}\r\n\r\n{body}").into_bytes();
            prop_assert_eq!(feed(&bytes, step), feed(&bytes, usize::MAX));
        }

        /// Whatever comes, it is judged without a panic, and nothing is used that is not there.
        #[test]
        fn survives_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
            for start in [&b""[..], HEAD, CODED] {
                let all = [start, &bytes].concat();
                if let Ok((used, _)) = feed(&all, step) {
                    prop_assert!(used <= all.len());
                }
            }
        }
    }
}
