//! Deadlines on a grid of one second. A connection has one valid entry; finding out what is due when it comes up, and
//! entering it again, costs one visit per timeout and not one per message.

/// Number of seconds the wheel spans; later deadlines are visited on the way.
const SPAN: u32 = 1024;

/// The wheel of one I/O thread.
#[derive(Debug)]
pub struct Wheel {
    buckets: Vec<Vec<u32>>,
    /// The last second that was handled.
    now: u32,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new(); SPAN as usize],
            now: 0,
        }
    }
}

impl Wheel {
    /// The current second.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.now
    }

    /// Enters `slot` for second `at`, or for the furthest second the wheel reaches. Returns the second entered, by which
    /// a valid entry is told from one that a nearer deadline has replaced.
    pub fn insert(&mut self, slot: u32, at: u32) -> u32 {
        let at = at.clamp(self.now + 1, self.now + SPAN - 1);
        self.buckets[(at % SPAN) as usize].push(slot);
        at
    }

    /// Goes on by one second; returns its entries. Give the list back with [`Wheel::recycle`].
    pub fn advance(&mut self) -> Vec<u32> {
        self.now += 1;
        std::mem::take(&mut self.buckets[(self.now % SPAN) as usize])
    }

    /// Takes back a list for its allocation.
    pub fn recycle(&mut self, mut list: Vec<u32>) {
        list.clear();
        let bucket = &mut self.buckets[(self.now % SPAN) as usize];
        if bucket.is_empty() && list.capacity() <= 4096 {
            *bucket = list;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_up_in_their_second() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.insert(1, 3), 3);
        assert_eq!(wheel.insert(2, 0), 1, "the past is the next second");
        assert_eq!(wheel.insert(3, u32::MAX), SPAN - 1);
        assert_eq!(wheel.advance(), [2]);
        assert_eq!(wheel.advance(), [0u32; 0]);
        assert_eq!(wheel.advance(), [1]);
        for _ in 4..SPAN - 1 {
            assert!(wheel.advance().is_empty());
        }
        assert_eq!(wheel.advance(), [3]);
    }
}
