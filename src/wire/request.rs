//! Requests out of bytes (RFC 9112): their heads, and where their bodies end.
//!
//! Stricter than many a server: a bare line feed, a second length, a coding other than chunked is refused. A request that
//! two readers can understand in two ways is how requests are smuggled past the one in front (11.2). Heads are checked
//! line by line as they arrive, so what cannot become a request is refused before it is complete.
//!
//! A head that arrives in one piece is read where it lies. Only one that is split is kept, until its rest comes.

use super::handshake::{Handshake, classify};
use std::borrow::Cow;

/// Bytes that a request's head may have.
pub const HEAD_LIMIT: usize = 16 << 10;
/// Fields a request may have.
const FIELD_LIMIT: u16 = 200;
/// Bytes of chunk extensions, and of trailers, that a body may have.
const EXTRA_LIMIT: usize = 4 << 10;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// It is not HTTP, or can be read in two ways.
    Malformed,
    /// Its head is too large.
    TooLarge,
    /// It is of a version that is not spoken here.
    UnknownVersion,
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooLarge => 431,
            Self::UnknownVersion => 505,
        }
    }
}

/// Follows the requests of a connection, one at a time.
#[derive(Debug, Default)]
pub struct RequestReader {
    state: State,
    /// A head that has begun.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// Bytes of the body that are still to come.
    Length(u64),
    Chunked(Box<Chunked>),
    /// The request is complete.
    Complete,
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    scan: Scan,
}

impl RequestReader {
    /// Whether a request has arrived completely.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Whether a head has begun and is not complete.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.partial.is_some()
    }

    /// Whether a body is arriving.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_))
    }

    /// The next request may come.
    pub fn begin(&mut self) {
        *self = Self::default();
    }

    /// Reads a head: gives it when it is complete, with how many bytes of the input belong to it. If it is not, all of the
    /// input does, and is kept.
    ///
    /// # Errors
    /// [`RequestError`]. Nothing more may be read then.
    pub fn read_head<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(RequestHead<'a>, usize)>, RequestError> {
        if let Some(mut partial) = self.partial.take() {
            let before = partial.bytes.len();
            let taken = input.len().min(HEAD_LIMIT - before);
            partial.bytes.extend_from_slice(&input[..taken]);
            let Some(len) = partial.scan.advance(&partial.bytes)? else {
                if taken < input.len() {
                    return Err(RequestError::TooLarge);
                }
                self.partial = Some(partial);
                return Ok(None);
            };
            let Partial { mut bytes, scan } = *partial;
            bytes.truncate(len);
            self.state = scan.body();
            let head = RequestHead {
                bytes: Cow::Owned(bytes),
                scan,
            };
            return Ok(Some((head, len - before)));
        }
        let window = &input[..input.len().min(HEAD_LIMIT)];
        let mut scan = Scan::default();
        if let Some(len) = scan.advance(window)? {
            self.state = scan.body();
            let bytes = Cow::Borrowed(&input[..len]);
            return Ok(Some((RequestHead { bytes, scan }, len)));
        }
        if window.len() < input.len() {
            return Err(RequestError::TooLarge);
        }
        let bytes = input.to_vec();
        self.partial = Some(Box::new(Partial { bytes, scan }));
        Ok(None)
    }

    /// Reads the body: appends what it contains to `content`, and says how many bytes of the input belong to it.
    ///
    /// # Errors
    /// [`RequestError`]. Nothing more may be read then.
    pub fn read_body(
        &mut self,
        input: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<usize, RequestError> {
        let (used, complete) = match &mut self.state {
            State::Head | State::Complete => return Ok(0),
            State::Length(left) => {
                let used = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                content.extend_from_slice(&input[..used]);
                *left -= used as u64;
                (used, *left == 0)
            }
            State::Chunked(chunked) => chunked.advance(input, content)?,
        };
        if complete {
            self.state = State::Complete;
        }
        Ok(used)
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

/// A part of a head.
#[derive(Debug, Default, Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, len: usize) -> Self {
        Self {
            start: start as u16,
            end: (start + len) as u16,
        }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..usize::from(self.end)]
    }
}

/// What has been seen of a head so far.
#[derive(Debug, Default)]
struct Scan {
    /// Start of the line that is being read.
    line: usize,
    /// Up to where its end has been looked for.
    searched: usize,
    /// Bytes of the request line with its end; 0 before that.
    request_line: usize,
    method: u16,
    target: Span,
    framing: Framing,
    fields: u16,
    has_host: bool,
    is_old: bool,
    closes: bool,
    expects: bool,
    has_extensions: bool,
    has_tags: bool,
    upgrade: Option<Span>,
    key: Option<Span>,
    version: Option<Span>,
}

impl Scan {
    /// Looks at what has come; the length of the head when its end is there.
    fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestError> {
        // What no request begins with, such as a TLS handshake, need not be read to the end of a line.
        if bytes
            .first()
            .is_some_and(|byte| !is_token(*byte) && *byte != b'\r')
        {
            return Err(RequestError::Malformed);
        }
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + at;
            let line = &bytes[self.line..end];
            let Some(line) = line.strip_suffix(b"\r") else {
                // Some readers take a bare line feed for the end of a line, some do not. Behind the version Bun calls it a
                // version it does not know.
                return Err(if self.request_line == 0 && !line.is_empty() {
                    RequestError::UnknownVersion
                } else {
                    RequestError::Malformed
                });
            };
            if line.is_empty() {
                // RFC 9112, 3.2.
                return if self.request_line > 0 && (self.is_old || self.has_host) {
                    Ok(Some(end + 1))
                } else {
                    Err(RequestError::Malformed)
                };
            }
            if self.request_line == 0 {
                self.request_line(line)?;
                self.request_line = end + 1;
            } else {
                self.field(line)?;
            }
            self.line = end + 1;
            self.searched = end + 1;
        }
        self.searched = bytes.len();
        Ok(None)
    }

    /// RFC 9112, 3: method, target and version, with one space between them.
    fn request_line(&mut self, line: &[u8]) -> Result<(), RequestError> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(RequestError::Malformed);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || !is_target(target) {
            return Err(RequestError::Malformed);
        }
        self.is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(RequestError::UnknownVersion);
            }
            _ => return Err(RequestError::Malformed),
        };
        self.method = method.len() as u16;
        self.target = Span::new(method.len() + 1, target.len());
        Ok(())
    }

    /// RFC 9112, 5. A blank in front of the colon, or a line that goes on with the one before, is not taken.
    fn field(&mut self, line: &[u8]) -> Result<(), RequestError> {
        self.fields += 1;
        if self.fields > FIELD_LIMIT {
            return Err(RequestError::TooLarge);
        }
        let (name, value) = split_field(line).ok_or(RequestError::Malformed)?;
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is(b"host") => {
                if self.has_host || !value.iter().all(|byte| is_host(*byte)) {
                    return Err(RequestError::Malformed);
                }
                self.has_host = true;
            }
            6 if is(b"expect") => {
                self.expects |= !self.is_old && value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if is(b"upgrade") => self.note(|scan| &mut scan.upgrade, line, value),
            10 if is(b"connection") => {
                self.closes |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
            }
            13 if is(b"if-none-match") => self.has_tags = true,
            14 if is(b"content-length") => {
                if self.framing != Framing::None {
                    return Err(RequestError::Malformed);
                }
                self.framing = Framing::Length(decimal(value).ok_or(RequestError::Malformed)?);
            }
            17 if is(b"transfer-encoding") => {
                if self.framing != Framing::None
                    || self.is_old
                    || !value.eq_ignore_ascii_case(b"chunked")
                {
                    return Err(RequestError::Malformed);
                }
                self.framing = Framing::Chunked;
            }
            17 if is(b"sec-websocket-key") => self.note(|scan| &mut scan.key, line, value),
            21 if is(b"sec-websocket-version") => self.note(|scan| &mut scan.version, line, value),
            24 if is(b"sec-websocket-extensions") => self.has_extensions = true,
            _ => {}
        }
        Ok(())
    }

    /// Notes where a field's first value is.
    fn note(&mut self, place: impl Fn(&mut Self) -> &mut Option<Span>, line: &[u8], value: &[u8]) {
        let at = self.line + (value.as_ptr() as usize - line.as_ptr() as usize);
        place(self).get_or_insert(Span::new(at, value.len()));
    }

    fn body(&self) -> State {
        match self.framing {
            Framing::None | Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::default()),
        }
    }
}

/// A request's head, well-formed.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// All of it, with the empty line at its end.
    bytes: Cow<'a, [u8]>,
    scan: Scan,
}

impl RequestHead<'_> {
    /// The method as it was sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.bytes[..usize::from(self.scan.method)]
    }

    /// The request target as it was sent, with its fragment if there is one.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.scan.target.of(&self.bytes)
    }

    /// Whether the client speaks HTTP/1.1, not 1.0.
    #[must_use]
    pub fn is_http11(&self) -> bool {
        !self.scan.is_old
    }

    /// Whether a body follows.
    #[must_use]
    pub fn has_body(&self) -> bool {
        !matches!(self.scan.framing, Framing::None | Framing::Length(0))
    }

    /// Bytes of the body, if the head says so.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match self.scan.framing {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        }
    }

    /// Whether the connection is to end behind the answer: the client says so, or knows of nothing else.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.scan.closes || self.scan.is_old
    }

    /// Whether the client waits for leave to send the body (RFC 9110, 10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.scan.expects && self.has_body()
    }

    /// How it stands as an opening handshake.
    #[must_use]
    pub fn handshake(&self) -> Handshake {
        if self.scan.upgrade.is_none() {
            return Handshake::NotWebSocket;
        }
        classify(
            std::str::from_utf8(self.method()).unwrap_or_default(),
            self.is_http11() && !self.has_body(),
            self.text(self.scan.upgrade),
            self.key(),
            self.text(self.scan.version),
        )
    }

    /// `Sec-WebSocket-Key`.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.text(self.scan.key)
    }

    /// The extensions that are offered, all fields in one.
    #[must_use]
    pub fn extensions(&self) -> Option<String> {
        if !self.scan.has_extensions {
            return None;
        }
        let lines: Option<Vec<_>> = self
            .values(b"sec-websocket-extensions")
            .map(|value| {
                std::str::from_utf8(value)
                    .ok()
                    .filter(|text| text.is_ascii())
            })
            .collect();
        Some(lines?.join(","))
    }

    /// The values of `If-None-Match`.
    pub fn tags(&self) -> impl Iterator<Item = &[u8]> {
        let name: &[u8] = if self.scan.has_tags {
            b"if-none-match"
        } else {
            b""
        };
        self.values(name)
    }

    /// Appends `name: value\n` for each field, in order of arrival, names in lower case.
    pub fn put_fields(&self, out: &mut Vec<u8>) {
        for (name, value) in self.fields() {
            let at = out.len();
            out.extend_from_slice(name);
            out[at..].make_ascii_lowercase();
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.push(b'\n');
        }
    }

    fn text(&self, span: Option<Span>) -> Option<&str> {
        std::str::from_utf8(span?.of(&self.bytes)).ok()
    }

    /// Of the fields with this name; none for no name.
    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &[u8]> {
        let fields = (!name.is_empty()).then(|| self.fields());
        fields
            .into_iter()
            .flatten()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.bytes[self.scan.request_line..];
        std::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest)?;
            let line = &rest[..end.saturating_sub(1)];
            rest = &rest[end + 1..];
            let colon = memchr::memchr(b':', line)?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
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
    /// Says how many bytes are of the body, and whether its end is among them.
    fn advance(
        &mut self,
        bytes: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<(usize, bool), RequestError> {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            if matches!(self.at, Chunk::Data) {
                let rest = bytes.len() - used;
                let taken = usize::try_from(self.size).map_or(rest, |size| size.min(rest));
                content.extend_from_slice(&bytes[used..used + taken]);
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
                        return Err(RequestError::Malformed);
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
                        return Err(RequestError::Malformed);
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
                _ => return Err(RequestError::Malformed),
            };
        }
        Ok((used, false))
    }

    fn count_extra(&mut self) -> Result<(), RequestError> {
        self.extra += 1;
        if self.extra > EXTRA_LIMIT {
            Err(RequestError::Malformed)
        } else {
            Ok(())
        }
    }
}

/// RFC 9110, 6.5.1: a trailer says nothing about where a message ends or whom it is for.
fn check_trailer(line: &[u8]) -> Result<(), RequestError> {
    let (name, _) = split_field(line).ok_or(RequestError::Malformed)?;
    let is_forbidden = [&b"content-length"[..], b"transfer-encoding", b"host"]
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    if is_forbidden {
        Err(RequestError::Malformed)
    } else {
        Ok(())
    }
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty()
        || !name.iter().all(|byte| is_token(*byte))
        || !value.iter().all(|byte| is_text(*byte))
    {
        return None;
    }
    Some((name, value.trim_ascii()))
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
#[must_use]
pub fn path_of(target: &[u8]) -> &[u8] {
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

/// The elements of a comma-separated list (RFC 9110, 5.6.1).
fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

const TOKEN: u8 = 1;
const TEXT: u8 = 2;
const HOST: u8 = 4;

/// What each byte may be part of: a look-up a byte is what the check of a head costs.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_alphanumeric = (byte as u8).is_ascii_alphanumeric();
        if is_alphanumeric
            || matches!(byte as u8, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            classes[byte] |= TOKEN;
        }
        if byte as u8 == b'\t' || byte as u8 >= b' ' && byte as u8 != 0x7f {
            classes[byte] |= TEXT;
        }
        if is_alphanumeric
            || matches!(
                byte as u8,
                b'!' | b'$'..=b'+' | b'-' | b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
            )
        {
            classes[byte] |= HOST;
        }
        byte += 1;
    }
    classes
};

/// RFC 9110, 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// What may be in a field's value (RFC 9110, 5.5).
pub(super) fn is_text(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TEXT != 0
}

/// What a host and a port are made of (RFC 3986, 3.2.2).
fn is_host(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const CODED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Everything in steps of so many bytes: how many were used, and whether the request is complete.
    fn feed(bytes: &[u8], step: usize) -> Result<(usize, bool), RequestError> {
        let mut reader = RequestReader::default();
        let mut used = 0;
        let mut in_head = true;
        for piece in bytes.chunks(step) {
            let mut rest = piece;
            if in_head {
                let Some((_, len)) = reader.read_head(piece)? else {
                    used += piece.len();
                    continue;
                };
                in_head = false;
                used += len;
                rest = &piece[len..];
            }
            used += reader.read_body(rest, &mut Vec::new())?;
            if reader.is_complete() {
                break;
            }
        }
        Ok((used, reader.is_complete()))
    }

    /// A head, as it is when its end comes, however it was cut.
    fn head(text: &str, step: usize) -> RequestHead<'_> {
        let mut reader = RequestReader::default();
        for piece in text.as_bytes().chunks(step) {
            if let Some((head, _)) = reader.read_head(piece).expect("well-formed") {
                return head;
            }
        }
        panic!("not a whole head");
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
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let head = head(&text, usize::MAX);
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
        assert_eq!(
            feed(&head(HEAD_LIMIT + 1), 1000),
            Err(RequestError::TooLarge)
        );
    }

    #[test]
    fn a_request_may_have_as_many_fields_as_the_limit() {
        let head = |fields: u16| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: 1\r\n".repeat(usize::from(fields) - 1)
            )
            .into_bytes()
        };
        assert!(feed(&head(FIELD_LIMIT), 1000).is_ok());
        assert_eq!(
            feed(&head(FIELD_LIMIT + 1), 1000),
            Err(RequestError::TooLarge)
        );
    }

    #[test]
    fn says_what_the_fields_say_whatever_the_split() {
        let text = "GET /x HTTP/1.1\r\nHost: a\r\nX-Two:1\r\nUPGRADE: websocket\r\nUpgrade: h2c\r\n\
            Sec-WebSocket-Key:  dGhlIHNhbXBsZSBub25jZQ== \r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Extensions: a\r\nIf-None-Match: \"x\"\r\nsec-websocket-extensions: b; c\r\n\
            If-None-Match: *\r\nConnection: upgrade, Close\r\n\r\n";
        for step in [usize::MAX, 1, 7, 64] {
            let head = head(text, step);
            assert_eq!(head.method(), b"GET");
            assert_eq!(head.target(), b"/x");
            assert_eq!(head.handshake(), Handshake::Accepted);
            assert_eq!(head.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
            assert_eq!(head.extensions().as_deref(), Some("a,b; c"));
            assert!(head.tags().eq([&b"\"x\""[..], b"*"]));
            assert!(head.closes() && !head.has_body() && !head.expects_continue());
            let mut fields = Vec::new();
            head.put_fields(&mut fields);
            let fields = String::from_utf8_lossy(&fields).into_owned();
            assert!(
                fields.starts_with("host: a\nx-two: 1\nupgrade: websocket\n"),
                "{fields}"
            );
            assert_eq!(fields.lines().count(), 11);
        }
    }

    #[test]
    fn gives_what_a_body_contains_whatever_the_split() {
        let coded = [CODED, b"3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"].concat();
        let long = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
        for (request, at, body) in [
            (&coded[..], CODED.len(), "abcde"),
            (long, long.len() - "body".len(), "body"),
        ] {
            for step in [usize::MAX, 1, 2, 5] {
                let mut reader = RequestReader::default();
                let (head, len) = reader
                    .read_head(request)
                    .ok()
                    .flatten()
                    .expect("a whole head");
                assert!(head.has_body());
                assert_eq!(len, at);
                let mut content = Vec::new();
                for piece in request[len..].chunks(step) {
                    assert_eq!(reader.read_body(piece, &mut content), Ok(piece.len()));
                }
                assert!(reader.is_complete());
                assert_eq!(content, body.as_bytes());
            }
        }
    }

    #[test]
    fn only_a_body_can_be_waited_for() {
        let expect = |start: &str, fields: &str| {
            let text = format!("{start}\r\nHost: a\r\n{fields}\r\n\r\n");
            head(&text, usize::MAX).expects_continue()
        };
        let post = "POST / HTTP/1.1";
        assert!(expect(post, "Expect: 100-Continue\r\nContent-Length: 1"));
        assert!(!expect(post, "Expect: 100-continue\r\nContent-Length: 0"));
        assert!(!expect(post, "Expect: something\r\nContent-Length: 1"));
        assert!(!expect(
            "POST / HTTP/1.0",
            "Expect: 100-continue\r\nContent-Length: 1"
        ));
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
