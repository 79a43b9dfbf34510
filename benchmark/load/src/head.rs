//! The head of an HTTP response: the status line and the fields.

use crate::error::{Error, Result};

const MAX_LEN: usize = 16 * 1024;
const END: &[u8] = b"\r\n\r\n";

pub struct Head<'a> {
    /// All of the status line.
    pub status: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    /// Bytes up to and with the empty line.
    pub len: usize,
}

impl<'a> Head<'a> {
    /// The head at the front of `input`, `None` while it is incomplete.
    pub fn read(input: &'a [u8]) -> Result<Option<Self>> {
        let Some(end) = input.windows(END.len()).position(|window| window == END) else {
            if input.len() > MAX_LEN {
                return Err(Error::Server("endless response head".into()));
            }
            return Ok(None);
        };
        let text = std::str::from_utf8(&input[..end])
            .map_err(|_| Error::Server("response head is not text".into()))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let fields = lines
            .map(|line| match line.split_once(':') {
                Some((name, value)) => Ok((name, value.trim())),
                None => Err(Error::Server(format!("{line:?} in a response head"))),
            })
            .collect::<Result<_>>()?;
        Ok(Some(Self {
            status,
            fields,
            len: end + END.len(),
        }))
    }

    /// The values of all fields of this name.
    pub fn all(&self, wanted: &str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| *value)
    }

    /// The value of the field that is there exactly once.
    pub fn only(&self, wanted: &str) -> Option<&'a str> {
        let mut values = self.all(wanted);
        values.next().filter(|_| values.next().is_none())
    }

    pub fn has(&self, wanted: &str) -> bool {
        self.all(wanted).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_once_it_is_whole() {
        let input = b"HTTP/1.1 200 OK\r\nA: 1\r\nb:2 \r\na: 3\r\n\r\nbody";
        let end = input.len() - "body".len();
        for len in 0..end {
            assert!(Head::read(&input[..len]).unwrap().is_none(), "{len}");
        }
        let head = Head::read(input).unwrap().unwrap();
        assert_eq!((head.status, head.len), ("HTTP/1.1 200 OK", end));
        assert_eq!(head.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((head.only("a"), head.only("B")), (None, Some("2")));
        assert!(head.has("A") && !head.has("c"));
    }

    #[test]
    fn refuses_what_is_no_head() {
        for input in [
            b"HTTP/1.1 200 OK\r\nno field\r\n\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nA: \xFF\r\n\r\n".to_vec(),
            vec![b'a'; MAX_LEN + 1],
        ] {
            assert!(Head::read(&input).is_err());
        }
    }
}
