//! A DEFLATE compressor (RFC 1951) for short messages that are compressed by themselves.
//!
//! Before each message zlib clears tables that are made for endless streams, which at chat size takes longer than
//! anything else. Here the tables are as small as the messages. `docs/compression.md` has the measurement. The output
//! is one block, stored, with fixed or with dynamic codes, whatever is shortest, and the header of an empty stored
//! block, so that it ends on a byte as a flush does (RFC 7692, 7.2.1).

const HASH_BITS: u32 = 12;
/// No position.
const NONE: u16 = u16::MAX;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// With fewer literals and matches, codes made for them cost more than they save.
const FEW: usize = 48;
/// Candidates looked at for a match.
const CHAIN: usize = 8;
/// A match of this length is taken without a look at the next position.
const GOOD_MATCH: usize = 32;
/// Symbols for literals, the end of the block and lengths.
const LITERALS: usize = 286;
const END_OF_BLOCK: usize = 256;
/// Symbols for distances.
const DISTANCES: usize = 30;
const MAX_BITS: usize = 15;
/// The codes that the lengths of the other codes are written with.
const LENGTH_CODES: usize = 19;
const MAX_LENGTH_BITS: usize = 7;
/// The order in which their lengths are written (RFC 1951, 3.2.7).
const LENGTH_ORDER: [usize; LENGTH_CODES] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The tables, reused from message to message.
#[derive(Debug)]
pub struct ShortDeflater {
    /// How far it may refer back, in bytes.
    window: usize,
    /// By hash: the last position with it.
    head: Box<[u16; 1 << HASH_BITS]>,
    /// By position: the one before with the same hash.
    previous: Box<[u16; ShortDeflater::LONGEST]>,
    tokens: Vec<Token>,
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
}

/// A literal, or a match: length and distance.
#[derive(Debug, Clone, Copy)]
struct Token {
    /// 0 for a literal.
    distance: u16,
    /// Or the literal.
    length: u16,
}

/// How often the symbols of an alphabet occur, and the prefix code made for that.
#[derive(Debug)]
struct Code<const N: usize> {
    counts: [u16; N],
    /// In bits; 0 for a symbol that does not occur.
    lengths: [u8; N],
    /// In the order in which bits are written.
    codes: [u16; N],
}

impl Default for ShortDeflater {
    fn default() -> Self {
        Self {
            window: 0,
            head: Box::new([NONE; 1 << HASH_BITS]),
            previous: Box::new([NONE; Self::LONGEST]),
            tokens: Vec::new(),
            literals: Code::new(),
            distances: Code::new(),
        }
    }
}

impl ShortDeflater {
    /// Longest message in bytes.
    pub const LONGEST: usize = 4096;

    /// Appends `message`, compressed, to `out`. Refers back at most 2 to the power of `window` bytes (8 to 15).
    ///
    /// # Panics
    ///
    /// If the message is longer than [`LONGEST`](Self::LONGEST).
    pub fn compress(&mut self, message: &[u8], window: u8, out: &mut Vec<u8>) {
        assert!(message.len() <= Self::LONGEST, "is for short messages");
        self.window = 1 << window;
        self.find_tokens(message);
        let fixed_cost = self.cost(fixed_literal_length, |_| 5);
        let stored_cost = (message.len() + 4) * 8;
        let mut bits = Bits::new(out);
        if self.tokens.len() >= FEW {
            let header = self.make_codes();
            let cost = header.cost
                + self.cost(
                    |symbol| self.literals.lengths[symbol],
                    |symbol| self.distances.lengths[symbol],
                );
            if cost < fixed_cost.min(stored_cost) {
                header.write(&mut bits);
                self.write_tokens(&self.literals, &self.distances, &mut bits);
                return bits.finish();
            }
        }
        if stored_cost < fixed_cost {
            bits.put(0b000, 3);
            bits.align();
            let len = message.len() as u16;
            bits.out.extend_from_slice(&len.to_le_bytes());
            bits.out.extend_from_slice(&(!len).to_le_bytes());
            bits.out.extend_from_slice(message);
        } else {
            bits.put(0b010, 3);
            self.write_tokens(&FIXED_LITERALS, &FIXED_DISTANCES, &mut bits);
        }
        bits.finish();
    }

    /// Splits the message into literals and matches, and counts their symbols.
    fn find_tokens(&mut self, message: &[u8]) {
        self.head.fill(NONE);
        self.tokens.clear();
        self.literals.counts = [0; LITERALS];
        self.distances.counts = [0; DISTANCES];
        self.literals.counts[END_OF_BLOCK] = 1;
        let mut at = 0;
        let mut found = self.find_match(message, 0, MIN_MATCH - 1);
        while at < message.len() {
            let mut seen = at + 1;
            if let Some((length, distance)) = found {
                // A longer match one byte later is worth a literal.
                let mut better = None;
                if length < GOOD_MATCH {
                    better = self.find_match(message, seen, length);
                    seen += 1;
                }
                if better.is_none() {
                    self.push_match(length, distance);
                    at += length;
                    for inside in seen..at {
                        self.insert(message, inside);
                    }
                    found = self.find_match(message, at, MIN_MATCH - 1);
                    continue;
                }
                found = better;
            } else {
                found = self.find_match(message, seen, MIN_MATCH - 1);
            }
            self.push_literal(message[at]);
            at += 1;
        }
    }

    /// The longest match at a position, if it is longer than `beat`. The position is inserted.
    #[inline]
    fn find_match(&mut self, message: &[u8], at: usize, beat: usize) -> Option<(usize, usize)> {
        let mut candidate = self.insert(message, at);
        let here = &message[at.min(message.len())..];
        let here = &here[..here.len().min(MAX_MATCH)];
        let mut longest = beat;
        let mut distance = 0;
        for _ in 0..CHAIN {
            if candidate == NONE {
                break;
            }
            let from = usize::from(candidate);
            if at - from > self.window {
                break;
            }
            // Most candidates fail where the best one so far ended.
            if here
                .get(longest)
                .is_some_and(|byte| message[from + longest] == *byte)
            {
                let length = common(&message[from..], here);
                if length > longest {
                    longest = length;
                    distance = at - from;
                }
            }
            candidate = self.previous[from];
        }
        (distance > 0).then_some((longest, distance))
    }

    /// Makes a position known. Returns the last one with the same hash.
    #[inline]
    fn insert(&mut self, message: &[u8], at: usize) -> u16 {
        let Some(bytes) = message.get(at..at + 4).and_then(<[u8]>::first_chunk) else {
            return NONE;
        };
        let hash = u32::from_le_bytes(*bytes).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        let last = std::mem::replace(&mut self.head[hash as usize], at as u16);
        self.previous[at] = last;
        last
    }

    #[inline]
    fn push_literal(&mut self, byte: u8) {
        self.literals.counts[usize::from(byte)] += 1;
        self.tokens.push(Token {
            distance: 0,
            length: u16::from(byte),
        });
    }

    #[inline]
    fn push_match(&mut self, length: usize, distance: usize) {
        self.literals.counts[length_symbol(length).symbol] += 1;
        self.distances.counts[distance_symbol(distance).symbol] += 1;
        self.tokens.push(Token {
            distance: distance as u16,
            length: length as u16,
        });
    }

    /// Bits of the tokens with codes of these lengths, and of the block's first bits.
    fn cost(&self, literal: impl Fn(usize) -> u8, distance: impl Fn(usize) -> u8) -> usize {
        let mut bits = 3;
        for (symbol, count) in self.literals.counts.iter().enumerate() {
            bits += usize::from(*count) * usize::from(literal(symbol) + length_extra(symbol));
        }
        for (symbol, count) in self.distances.counts.iter().enumerate() {
            bits += usize::from(*count) * usize::from(distance(symbol) + distance_extra(symbol));
        }
        bits
    }

    fn write_tokens(
        &self,
        literals: &Code<LITERALS>,
        distances: &Code<DISTANCES>,
        bits: &mut Bits<'_>,
    ) {
        for token in &self.tokens {
            if token.distance == 0 {
                literals.write(usize::from(token.length), bits);
                continue;
            }
            let length = length_symbol(usize::from(token.length));
            literals.write(length.symbol, bits);
            bits.put(length.rest, length.extra);
            let distance = distance_symbol(usize::from(token.distance));
            distances.write(distance.symbol, bits);
            bits.put(distance.rest, distance.extra);
        }
        literals.write(END_OF_BLOCK, bits);
    }

    /// Makes codes for what has been counted.
    fn make_codes(&mut self) -> Header {
        self.literals.make::<MAX_BITS>();
        // Some decoders refuse an incomplete code, so there are two at least.
        for symbol in 0..2 {
            if self
                .distances
                .counts
                .iter()
                .filter(|count| **count > 0)
                .count()
                < 2
            {
                self.distances.counts[symbol] = self.distances.counts[symbol].max(1);
            }
        }
        self.distances.make::<MAX_BITS>();
        Header::new(&self.literals.lengths, &self.distances.lengths)
    }
}

/// How many bytes at the front of `there` are those of `here`.
#[inline]
fn common(there: &[u8], here: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(a), Some(b)) = (
        there[length..].first_chunk::<8>(),
        here[length..].first_chunk::<8>(),
    ) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = there[length..].iter().zip(&here[length..]);
    length + rest.take_while(|(a, b)| a == b).count()
}

/// A symbol, and the bits behind its code.
struct Coded {
    symbol: usize,
    rest: u32,
    extra: u32,
}

/// RFC 1951, 3.2.5. `length` is 3 to 258.
#[inline]
fn length_symbol(length: usize) -> Coded {
    let value = length as u32 - 3;
    if length == MAX_MATCH {
        return Coded {
            symbol: 285,
            rest: 0,
            extra: 0,
        };
    }
    if value < 8 {
        return Coded {
            symbol: 257 + value as usize,
            rest: 0,
            extra: 0,
        };
    }
    let extra = value.ilog2() - 2;
    Coded {
        symbol: 257 + (4 * extra + (value >> extra)) as usize,
        rest: value & ((1 << extra) - 1),
        extra,
    }
}

/// The same for a distance from 1 on.
#[inline]
fn distance_symbol(distance: usize) -> Coded {
    let value = distance as u32 - 1;
    if value < 4 {
        return Coded {
            symbol: value as usize,
            rest: 0,
            extra: 0,
        };
    }
    let extra = value.ilog2() - 1;
    Coded {
        symbol: (2 * extra + (value >> extra)) as usize,
        rest: value & ((1 << extra) - 1),
        extra,
    }
}

/// Bits behind a literal or length symbol.
const fn length_extra(symbol: usize) -> u8 {
    match symbol {
        265..=284 => ((symbol - 261) / 4) as u8,
        _ => 0,
    }
}

/// Bits behind a distance symbol.
const fn distance_extra(symbol: usize) -> u8 {
    match symbol {
        4.. => ((symbol - 2) / 2) as u8,
        _ => 0,
    }
}

/// RFC 1951, 3.2.6.
const fn fixed_literal_length(symbol: usize) -> u8 {
    match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

static FIXED_LITERALS: Code<LITERALS> = {
    let mut code = Code::new();
    let mut symbol = 0;
    while symbol < LITERALS {
        let (first, value) = match symbol {
            0..=143 => (0, 0b0011_0000),
            144..=255 => (144, 0b1_1001_0000),
            256..=279 => (256, 0),
            _ => (280, 0b1100_0000),
        };
        let length = fixed_literal_length(symbol);
        code.set(symbol, (value + symbol - first) as u16, length);
        symbol += 1;
    }
    code
};

static FIXED_DISTANCES: Code<DISTANCES> = {
    let mut code = Code::new();
    let mut symbol = 0;
    while symbol < DISTANCES {
        code.set(symbol, symbol as u16, 5);
        symbol += 1;
    }
    code
};

impl<const N: usize> Code<N> {
    const fn new() -> Self {
        Self {
            counts: [0; N],
            lengths: [0; N],
            codes: [0; N],
        }
    }

    /// `value` is the code as the RFC has it: its highest bit first.
    const fn set(&mut self, symbol: usize, value: u16, length: u8) {
        self.lengths[symbol] = length;
        self.codes[symbol] = value.reverse_bits() >> (16 - length);
    }

    #[inline]
    fn write(&self, symbol: usize, bits: &mut Bits<'_>) {
        bits.put(
            u32::from(self.codes[symbol]),
            u32::from(self.lengths[symbol]),
        );
    }

    /// Makes the shortest prefix code for the counts, at least two of which are not 0, with at most `MAX` bits a symbol.
    fn make<const MAX: usize>(&mut self) {
        // Huffman's tree by two queues: the symbols from the rarest on, and the nodes in the order they are made in.
        let mut order = [(0_u16, 0_u16); N];
        let mut used = 0;
        for (symbol, count) in self.counts.iter().enumerate() {
            if *count > 0 {
                order[used] = (*count, symbol as u16);
                used += 1;
            }
        }
        let order = &mut order[..used];
        order.sort_unstable();
        let mut weights = [0_u32; N];
        // Parents of symbols, then of nodes.
        let mut symbol_parents = [0_u16; N];
        let mut node_parents = [0_u16; N];
        let (mut next_symbol, mut next_node) = (0, 0);
        let nodes = used.saturating_sub(1);
        for node in 0..nodes {
            for _ in 0..2 {
                let symbol = order.get(next_symbol).map(|(count, _)| u32::from(*count));
                let made = (next_node < node).then(|| weights[next_node]);
                if symbol.is_some_and(|weight| made.is_none_or(|made| weight <= made)) {
                    weights[node] += symbol.unwrap_or_default();
                    symbol_parents[next_symbol] = node as u16;
                    next_symbol += 1;
                } else {
                    weights[node] += made.unwrap_or_default();
                    node_parents[next_node] = node as u16;
                    next_node += 1;
                }
            }
        }
        // Depths, from the root on; how many symbols have each. Too deep ones are cut off.
        let mut depths = [0_u8; N];
        for node in (0..nodes.saturating_sub(1)).rev() {
            depths[node] = depths[usize::from(node_parents[node])] + 1;
        }
        let mut with_length = [0_u16; 16];
        let mut excess = 0_i32;
        for parent in &symbol_parents[..used] {
            let depth = usize::from(depths[usize::from(*parent)]) + 1;
            with_length[depth.min(MAX)] += 1;
            excess += 1 << (MAX - depth.min(MAX));
        }
        excess -= 1 << MAX;
        // Cutting off has made room for more codes than there is: each step lengthens one code by a bit, and makes a
        // longest one its neighbour.
        while excess > 0 {
            let Some(length) = (1..MAX).rev().find(|length| with_length[*length] > 0) else {
                break;
            };
            with_length[length] -= 1;
            with_length[length + 1] += 2;
            with_length[MAX] -= 1;
            excess -= 1;
        }
        // The rarest symbols get the longest codes.
        self.lengths = [0; N];
        let mut rest = order.iter();
        for length in (1..=MAX).rev() {
            for (_, symbol) in rest.by_ref().take(usize::from(with_length[length])) {
                self.lengths[usize::from(*symbol)] = length as u8;
            }
        }
        // RFC 1951, 3.2.2.
        let mut first_codes = [0_u16; 17];
        for length in 1..=MAX {
            first_codes[length + 1] = (first_codes[length] + with_length[length]) << 1;
        }
        for symbol in 0..N {
            let length = self.lengths[symbol];
            if length > 0 {
                let code = first_codes[usize::from(length)];
                first_codes[usize::from(length)] += 1;
                self.set(symbol, code, length);
            }
        }
    }
}

/// What stands in front of a block with dynamic codes.
struct Header {
    literals: usize,
    distances: usize,
    /// The codes' lengths, shortened: a symbol, and the bits behind its code.
    symbols: [(u8, u8); LITERALS + DISTANCES],
    count: usize,
    lengths: Code<LENGTH_CODES>,
    /// How many of the lengths of `lengths` are written.
    written: usize,
    /// In bits, without the block's first three.
    cost: usize,
}

impl Header {
    fn new(literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> Self {
        let used = |lengths: &[u8], least: usize| {
            lengths
                .iter()
                .rposition(|length| *length > 0)
                .map_or(least, |last| (last + 1).max(least))
        };
        let mut header = Self {
            literals: used(literals, 257),
            distances: used(distances, 1),
            symbols: [(0, 0); LITERALS + DISTANCES],
            count: 0,
            lengths: Code::new(),
            written: 4,
            cost: 0,
        };
        let mut all = [0_u8; LITERALS + DISTANCES];
        let total = header.literals + header.distances;
        all[..header.literals].copy_from_slice(&literals[..header.literals]);
        all[header.literals..total].copy_from_slice(&distances[..header.distances]);
        let mut rest = &all[..total];
        while let Some(length) = rest.first() {
            let run = rest.iter().take_while(|other| *other == length).count();
            rest = &rest[run..];
            header.push_run(*length, run);
        }
        if header
            .lengths
            .counts
            .iter()
            .filter(|count| **count > 0)
            .count()
            < 2
        {
            // As for distances: a code has two symbols at least.
            let spare = usize::from(header.lengths.counts[0] > 0);
            header.lengths.counts[spare] += 1;
        }
        header.lengths.make::<MAX_LENGTH_BITS>();
        let last = LENGTH_ORDER
            .iter()
            .rposition(|symbol| header.lengths.lengths[*symbol] > 0);
        header.written = last.map_or(4, |last| (last + 1).max(4));
        header.cost = 14 + 3 * header.written;
        for (symbol, _) in &header.symbols[..header.count] {
            header.cost += usize::from(header.lengths.lengths[usize::from(*symbol)]);
            header.cost += extra_of_run(*symbol) as usize;
        }
        header
    }

    /// So many equal lengths in a row (RFC 1951, 3.2.7).
    fn push_run(&mut self, length: u8, mut run: usize) {
        if length > 0 {
            self.push(length, 0);
            run -= 1;
        }
        while run > 0 {
            let (symbol, least, most) = match (length, run) {
                (0, 11..) => (18, 11, 138),
                (0, 3..) => (17, 3, 10),
                (1.., 3..) => (16, 3, 6),
                _ => (length, 1, 1),
            };
            let part = run.min(most);
            self.push(symbol, (part - least) as u8);
            run -= part;
        }
    }

    fn push(&mut self, symbol: u8, rest: u8) {
        self.lengths.counts[usize::from(symbol)] += 1;
        self.symbols[self.count] = (symbol, rest);
        self.count += 1;
    }

    fn write(&self, bits: &mut Bits<'_>) {
        bits.put(0b100, 3);
        bits.put(self.literals as u32 - 257, 5);
        bits.put(self.distances as u32 - 1, 5);
        bits.put(self.written as u32 - 4, 4);
        for symbol in &LENGTH_ORDER[..self.written] {
            bits.put(u32::from(self.lengths.lengths[*symbol]), 3);
        }
        for (symbol, rest) in &self.symbols[..self.count] {
            self.lengths.write(usize::from(*symbol), bits);
            bits.put(u32::from(*rest), extra_of_run(*symbol));
        }
    }
}

/// Bits behind a symbol that stands for a run.
const fn extra_of_run(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Writes bits, the lowest first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            waiting: 0,
            count: 0,
        }
    }

    /// Appends the lowest `count` bits, at most 32, of a value that has no others.
    #[inline]
    fn put(&mut self, value: u32, count: u32) {
        self.waiting |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out
                .extend_from_slice(&(self.waiting as u32).to_le_bytes());
            self.waiting >>= 32;
            self.count -= 32;
        }
    }

    /// Fills up the last byte.
    fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.waiting.to_le_bytes()[..bytes]);
        self.waiting = 0;
        self.count = 0;
    }

    /// Appends the header of an empty stored block.
    fn finish(mut self) {
        self.put(0b000, 3);
        self.align();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Inflater, ProtocolError};
    use proptest::prelude::*;

    fn compress(message: &[u8], window: u8) -> Vec<u8> {
        let mut out = vec![7];
        ShortDeflater::default().compress(message, window, &mut out);
        out.split_off(1)
    }

    /// With an independent decoder.
    fn inflate(mut packed: Vec<u8>) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::new();
        Inflater::default().inflate(&mut packed, None, 1 << 20, &mut out)?;
        Ok(out)
    }

    #[test]
    fn finds_what_repeats() {
        let message = b"to every peer: the socket sends a message to every peer: ".repeat(20);
        let packed = compress(&message, 15);
        assert!(packed.len() < 80, "{}", packed.len());
        assert_eq!(inflate(packed), Ok(message));
    }

    /// Hardly anything in it repeats; `kinds` different bytes.
    fn noise(len: usize, kinds: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            40 + ((state >> 16) % kinds) as u8
        };
        (0..len).map(|_| byte()).collect()
    }

    #[test]
    fn takes_the_shortest_of_three_forms() {
        let first = |message: &[u8]| compress(message, 15)[0] & 0b110;
        assert_eq!(first(b"hello"), 0b010, "fixed");
        assert_eq!(first(&noise(2000, 10)), 0b100, "dynamic");
        assert_eq!(first(&noise(300, 200)), 0b000, "stored");
        assert!(compress(&noise(300, 200), 15).len() <= 300 + 6);
    }

    #[test]
    fn every_length_and_distance_has_its_symbol() {
        for length in 3..=MAX_MATCH {
            let Coded {
                symbol,
                rest,
                extra,
            } = length_symbol(length);
            assert_eq!(length_extra(symbol), extra as u8);
            let first = (3..=length).find(|l| length_symbol(*l).symbol == symbol);
            assert_eq!(first, Some(length - rest as usize));
            assert!(rest < 1 << extra, "{length}");
        }
        assert_eq!(
            (length_symbol(257).symbol, length_symbol(258).symbol),
            (284, 285)
        );
        for distance in 1..=32_768 {
            let Coded {
                symbol,
                rest,
                extra,
            } = distance_symbol(distance);
            assert_eq!(distance_extra(symbol), extra as u8);
            assert!(rest < 1 << extra, "{distance}");
            let base = distance - rest as usize;
            assert!(base == 1 || distance_symbol(base - 1).symbol + 1 == symbol || rest > 0);
        }
        assert_eq!(distance_symbol(32_768).symbol, 29);
    }

    #[test]
    fn codes_are_complete_and_not_too_long() {
        // Fibonacci's numbers make the deepest tree.
        let mut code = Code::<30>::new();
        let (mut a, mut b) = (1_u16, 1_u16);
        for count in code.counts.iter_mut().take(23) {
            *count = a;
            (a, b) = (b, a.saturating_add(b));
        }
        for max in [15, 7] {
            if max == 15 {
                code.make::<15>();
            } else {
                code.make::<7>();
            }
            let sum: u32 = code
                .lengths
                .iter()
                .filter(|l| **l > 0)
                .map(|l| 1 << (max - l))
                .sum();
            assert_eq!(sum, 1 << max);
        }
    }

    #[test]
    fn stays_within_the_window() {
        for window in 8..=11 {
            let phrase = &b"TWENTY BYTES, TWICE!"[..];
            // From the one to the other: a whole window, and a byte more.
            let gap = noise((1 << window) - phrase.len() + 1, 10);
            let near = [phrase, &gap[1..], phrase].concat();
            let far = [phrase, &gap, phrase].concat();
            let (near, far) = (compress(&near, window).len(), compress(&far, window).len());
            assert!(near + 10 < far, "{window}: {near}, {far}");
        }
    }

    proptest! {
        #[test]
        fn everything_is_read_again(
            message in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..ShortDeflater::LONGEST + 1),
                prop::collection::vec(0..3u8, 0..ShortDeflater::LONGEST + 1),
                prop::collection::vec(prop::sample::select(b"{\":,}0123456789abcdef".to_vec()), 0..ShortDeflater::LONGEST + 1),
                "([a-z]{1,6} ){0,300}".prop_map(String::into_bytes),
                (any::<u8>(), 0..ShortDeflater::LONGEST + 1).prop_map(|(byte, len)| vec![byte; len]),
            ],
            window in 8..=15u8,
        ) {
            let packed = compress(&message, window);
            prop_assert!(packed.len() <= message.len() + 6);
            prop_assert_eq!(inflate(packed), Ok(message));
        }
    }
}
