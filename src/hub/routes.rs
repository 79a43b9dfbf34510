//! Routes that the I/O threads answer themselves: Responses that were given to `serve()`.
//!
//! The table knows every pattern of a server, also those with a handler, since these may be nearer to a request than a
//! static one. What has a handler goes to JavaScript, which finds it again in its own table (`js/routes.js`).

use crate::wire::response::{self, is_bodiless, put_date, put_length, put_status_line};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, OnceLock};

/// The routes of a server.
#[derive(Debug, Default)]
pub struct Routes {
    root: Segment,
    /// Handshakes pass by static routes, so that a handler may upgrade them.
    pub upgrades: bool,
}

/// One segment of the tree.
#[derive(Debug, Default)]
struct Segment {
    literals: HashMap<Box<[u8]>, Segment>,
    parameter: Option<Box<Segment>>,
    route: Route,
    wildcard: Route,
}

/// What is served at one pattern: by method, or for all of them when the method is empty.
#[derive(Debug, Default)]
struct Route(Vec<(Box<[u8]>, Target)>);

/// Who answers.
#[derive(Clone, Debug)]
pub enum Target {
    /// JavaScript.
    Handler,
    /// The I/O thread.
    Static(Arc<StaticRoute>),
}

impl Routes {
    /// Adds a pattern; the empty method stands for all. The last one of equal patterns wins.
    pub fn add(&mut self, pattern: &[u8], method: &[u8], target: Target) {
        let mut segments: Vec<_> = pattern
            .strip_prefix(b"/")
            .unwrap_or(pattern)
            .split(|byte| *byte == b'/')
            .collect();
        let is_wildcard = segments.last().is_some_and(|last| last.starts_with(b"*"));
        if is_wildcard {
            segments.pop();
        }
        let mut node = &mut self.root;
        for segment in segments {
            node = if segment.starts_with(b":") {
                node.parameter.get_or_insert_default()
            } else {
                node.literals.entry(segment.into()).or_default()
            };
        }
        let route = if is_wildcard {
            &mut node.wildcard
        } else {
            &mut node.route
        };
        route.0.retain(|(known, _)| **known != *method);
        route.0.push((method.into(), target));
    }

    /// Who answers this method at this path, which is neither decoded nor normalised and has no query.
    #[must_use]
    pub fn find(&self, method: &[u8], path: &[u8], is_handshake: bool) -> Option<&Target> {
        let skips = is_handshake && self.upgrades;
        self.root
            .find(method, path.strip_prefix(b"/").unwrap_or(path), skips)
    }
}

impl Segment {
    /// No deeper than the patterns are, and no more steps than there are segments in them.
    fn find(&self, method: &[u8], path: &[u8], skips: bool) -> Option<&Target> {
        let (segment, rest) = match memchr::memchr(b'/', path) {
            Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
            None => (path, None),
        };
        let literal = self.literals.get(segment);
        let parameter = self.parameter.as_deref().filter(|_| !segment.is_empty());
        [literal, parameter]
            .into_iter()
            .flatten()
            .find_map(|next| match rest {
                Some(rest) => next.find(method, rest, skips),
                None => next.route.find(method, skips),
            })
            .or_else(|| self.wildcard.find(method, skips))
    }
}

impl Route {
    fn find(&self, method: &[u8], skips: bool) -> Option<&Target> {
        let by = |wanted: &[u8]| self.0.iter().find(|(known, _)| **known == *wanted);
        let (_, target) = by(b"")
            .or_else(|| by(method))
            .or_else(|| if method == b"HEAD" { by(b"GET") } else { None })?;
        match target {
            Target::Static(_) if skips => None,
            target => Some(target),
        }
    }
}

/// A Response that is always the same.
#[derive(Debug, Default)]
pub struct StaticRoute {
    /// Absent until JavaScript has read the body; requests wait for it.
    content: OnceLock<Content>,
}

/// What is sent.
#[derive(Debug)]
pub struct Content {
    status: u16,
    /// The program's fields and `ETag`, without what belongs to one exchange.
    fields: Vec<u8>,
    /// The value of `ETag`.
    tag: Option<Box<[u8]>>,
    body: Bytes,
    /// Whether the connection ends after it.
    pub close: bool,
}

impl StaticRoute {
    /// What is sent, once it is known.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        self.content.get()
    }

    /// Sets what is sent; the first one stays.
    pub fn set(&self, content: Content) {
        let _ = self.content.set(content);
    }
}

impl Content {
    /// `lines`: `name: value\r\n`. A body that has no `ETag` gets one, as in Bun.
    #[must_use]
    pub fn new(status: u16, lines: &[u8], body: Bytes, close: bool) -> Self {
        let lines: Vec<u8> = lines
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| value_of(line, b"date").is_none())
            .flatten()
            .copied()
            .collect();
        let mut fields = Vec::new();
        response::put_fields(&mut fields, &lines);
        let mut tag = lines
            .split(|byte| *byte == b'\n')
            .find_map(|line| value_of(line, b"etag"))
            .map(Box::from);
        if !body.is_empty() && tag.is_none() {
            let made = entity_tag(&body);
            fields.extend_from_slice(format!("etag: {made}\r\n").as_bytes());
            tag = Some(made.into_bytes().into());
        }
        Self {
            status,
            fields,
            tag,
            body,
            close,
        }
    }

    /// Appends the head; gives the body. `is_known`: the client has it already.
    pub fn put_head(&self, out: &mut Vec<u8>, date: &str, is_known: bool) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        let status = if is_known { 304 } else { self.status };
        put_status_line(out, status, None);
        out.extend_from_slice(&self.fields);
        put_date(out, date);
        let is_bodiless = is_bodiless(status);
        if !is_bodiless {
            put_length(out, self.body.len() as u64);
        }
        out.extend_from_slice(b"\r\n");
        if is_bodiless { &NOTHING } else { &self.body }
    }

    /// Whether a client that has these tags (values of `If-None-Match`) and asks by GET or HEAD needs no body: RFC 9110,
    /// 13.1.2.
    #[must_use]
    pub fn is_known<'a>(&self, mut tags: impl Iterator<Item = &'a [u8]>) -> bool {
        let Some(own) = self.tag.as_deref().filter(|_| self.status == 200) else {
            return false;
        };
        let own = opaque(own);
        tags.any(|list| {
            list.trim_ascii() == b"*"
                || list
                    .split(|byte| *byte == b',')
                    .any(|tag| opaque(tag) == own)
        })
    }
}

/// The value of a field line, if it has this (lower-case) name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let colon = memchr::memchr(b':', line)?;
    line[..colon]
        .eq_ignore_ascii_case(name)
        .then(|| line[colon + 1..].trim_ascii())
}

/// The tag without `W/` and quotes: the comparison is the weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    tag.strip_prefix(b"\"")
        .and_then(|tag| tag.strip_suffix(b"\""))
        .unwrap_or(tag)
}

/// Tells bodies apart; it need not withstand anybody, since the bodies are the program's own.
fn entity_tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(patterns: &[&str]) -> (Routes, Vec<Arc<StaticRoute>>) {
        let mut routes = Routes::default();
        let mut all = Vec::new();
        for pattern in patterns {
            let route = Arc::new(StaticRoute::default());
            let (method, path) = pattern.split_once(' ').unwrap_or(("", pattern));
            routes.add(
                path.as_bytes(),
                method.as_bytes(),
                Target::Static(Arc::clone(&route)),
            );
            all.push(route);
        }
        (routes, all)
    }

    /// The index of the pattern that answers.
    fn winner(patterns: &[&str], method: &str, path: &str) -> Option<usize> {
        let (routes, all) = table(patterns);
        match routes.find(method.as_bytes(), path.as_bytes(), false)? {
            Target::Static(found) => all.iter().position(|route| Arc::ptr_eq(route, found)),
            Target::Handler => None,
        }
    }

    #[test]
    fn exact_beats_parameter_beats_wildcard_segment_by_segment() {
        let patterns = ["/a/:id", "/a/me", "/a/*", "/*", "/:x/b/c", "/a/:y/d"];
        for (path, index) in [
            ("/a/me", 1),
            ("/a/5", 0),
            ("/a/5/6", 2),
            ("/a/", 2),
            ("/a", 3),
            ("/z/b/c", 4),
            ("/a/b/d", 5),
            ("/a/b/c", 2),
        ] {
            assert_eq!(winner(&patterns, "GET", path), Some(index), "{path}");
        }
    }

    #[test]
    fn a_parameter_is_not_empty_and_a_wildcard_needs_its_slash() {
        assert_eq!(winner(&["/:id"], "GET", "/"), None);
        assert_eq!(winner(&["/w/*"], "GET", "/w"), None);
        assert_eq!(winner(&["/w/*"], "GET", "/w/"), Some(0));
    }

    #[test]
    fn a_method_that_a_pattern_lacks_goes_to_a_less_near_one() {
        let patterns = ["GET /a/b", "POST /a/:x", "PUT /a/*"];
        for (method, index) in [
            ("GET", Some(0)),
            ("HEAD", Some(0)),
            ("POST", Some(1)),
            ("PUT", Some(2)),
            ("DELETE", None),
        ] {
            assert_eq!(winner(&patterns, method, "/a/b"), index, "{method}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let content = Content::new(
            200,
            b"etag: W/\"x\"\r\n",
            Bytes::from_static(b"body"),
            false,
        );
        let known = |tag: &'static str| content.is_known([tag.as_bytes()].into_iter());
        for tag in ["\"x\"", "W/\"x\"", "\"a\", \"x\"", "*", " * ", "\t\"x\"\t"] {
            assert!(known(tag), "{tag}");
        }
        for tag in ["\"y\"", "", "\"*\"", "w/\"x\""] {
            assert!(!known(tag), "{tag}");
        }
        let moved = Content::new(301, b"", Bytes::from_static(b"body"), false);
        assert!(!moved.is_known([&b"*"[..]].into_iter()));
    }

    #[test]
    fn a_body_gets_a_tag_unless_it_has_one_or_is_empty() {
        let tag = |lines: &[u8], body: &'static [u8]| {
            let content = Content::new(200, lines, Bytes::from_static(body), false);
            let mut head = Vec::new();
            content.put_head(&mut head, "now", false);
            let head = String::from_utf8(head).expect("text");
            head.lines()
                .find_map(|line| Some(line.split_once(": ")?.1).filter(|tag| tag.starts_with('"')))
                .map(str::to_owned)
        };
        let made = tag(b"", b"a").unwrap_or_default();
        assert_eq!(made.len(), 18);
        assert_ne!(Some(made), tag(b"", b"b"));
        assert_eq!(tag(b"ETag: \"own\"\r\n", b"a").as_deref(), Some("\"own\""));
        assert_eq!(tag(b"", b""), None);
    }
}
