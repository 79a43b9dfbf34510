//! What the messages say: who sent it and its number, then a filler, so that a lost, doubled, swapped or altered
//! message is noticed.

/// 4 hexadecimal digits of the sender, 8 of the sequence number.
pub const MIN_SIZE: usize = 12;
const SENDER_DIGITS: usize = 4;

/// The messages of one run: all have the same size and filler.
pub struct Payload {
    filler: Vec<u8>,
}

impl Payload {
    pub fn new(size: usize, binary: bool) -> Self {
        let filler = (MIN_SIZE..size)
            .map(|i| {
                if binary {
                    (i * 131 + 7) as u8
                } else {
                    b' ' + (i * 7 % 95) as u8
                }
            })
            .collect();
        Self { filler }
    }

    pub fn size(&self) -> usize {
        MIN_SIZE + self.filler.len()
    }

    pub fn write(&self, out: &mut Vec<u8>, sender: u16, number: u32) {
        let mut head = [0u8; MIN_SIZE];
        write_hex(&mut head[..SENDER_DIGITS], u32::from(sender));
        write_hex(&mut head[SENDER_DIGITS..], number);
        out.extend_from_slice(&head);
        out.extend_from_slice(&self.filler);
    }

    /// Sender and number, or `None` if these are not the bytes of any message of this run.
    pub fn read(&self, bytes: &[u8]) -> Option<(u16, u32)> {
        let (head, filler) = bytes.split_at_checked(MIN_SIZE)?;
        if filler != self.filler {
            return None;
        }
        let sender = read_hex(&head[..SENDER_DIGITS])?;
        Some((sender as u16, read_hex(&head[SENDER_DIGITS..])?))
    }
}

fn write_hex(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xF) as usize];
        value >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        for binary in [false, true] {
            for size in [MIN_SIZE, 20, 300] {
                let payload = Payload::new(size, binary);
                let mut bytes = Vec::new();
                payload.write(&mut bytes, 0xBEEF, 0x0123_4567);
                assert_eq!(bytes.len(), size);
                assert_eq!(payload.read(&bytes), Some((0xBEEF, 0x0123_4567)));
                assert!(binary || bytes.is_ascii());
                assert_eq!(payload.read(&bytes[1..]), None);
                if size > MIN_SIZE {
                    *bytes.last_mut().unwrap() ^= 1;
                    assert_eq!(payload.read(&bytes), None);
                }
            }
        }
    }
}
