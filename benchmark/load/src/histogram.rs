//! Latencies in logarithmic buckets, each divided into 64: at most 1.6 % off, in constant memory.

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; ((64 - SUB_BITS + 1) as usize) << SUB_BITS],
            total: 0,
            max: 0,
        }
    }

    pub fn clear(&mut self) {
        *self = Self::new();
    }

    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Nanoseconds below which the share `q` of the records lies; `None` without a record.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(index, count)| {
            seen += count;
            (seen >= rank).then(|| middle(index).min(self.max as f64))
        })
    }

    pub fn max(&self) -> Option<f64> {
        (self.total > 0).then_some(self.max as f64)
    }
}

fn bucket(value: u64) -> usize {
    let shift = (63 - (value | SUB).leading_zeros()) - SUB_BITS;
    ((u64::from(shift) << SUB_BITS) + (value >> shift)) as usize
}

fn middle(index: usize) -> f64 {
    let index = index as u64;
    if index < 2 * SUB {
        return index as f64;
    }
    let shift = (index >> SUB_BITS) - 1;
    let low = (SUB + (index & (SUB - 1))) << shift;
    low as f64 + ((1u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_narrow() {
        let mut last = 0;
        for value in
            (0..1000).chain((10..40).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let index = bucket(value);
            assert!(index >= last);
            last = index;
            assert!(
                (middle(index) - value as f64).abs() <= value as f64 * 0.016,
                "{value} {}",
                middle(index)
            );
        }
        bucket(u64::MAX);
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=100).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile(0.5), Some(50.0));
        assert_eq!(histogram.quantile(0.99), Some(99.0));
        assert_eq!(histogram.max(), Some(100.0));
    }
}
