//! The masking key (RFC 6455, 5.3): `unmasked[i] = masked[i] ^ key[i % 4]`.
//!
//! Each received byte has to be unmasked, copied out of the read buffer and, for text, looked through for anything
//! above ASCII. [`unmask_append`] does the three in one pass: load a block of 16 bytes, XOR it with the repeated key,
//! store it, OR it into an accumulator whose high bits tell at the end. What is left after the last whole block is
//! not walked byte by byte. Instead one more block is taken that ends where the payload ends, overlaps the one
//! before, and uses the key turned to its position; writing the same bytes twice is harmless. A payload shorter than
//! a block does the same with 8 or 4 bytes.
//!
//! A block is an SSE2 register on `x86_64`, where SSE2 is part of the baseline, and a pair of 64-bit words elsewhere
//! (half as fast on `x86_64`).
//! AVX2 was measured: no faster from 64 B to 64 KiB (loads and stores are the limit), so there is nothing to detect
//! at run time.

use std::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
use sse2::Register as NativeBlock;
#[cfg(not(target_arch = "x86_64"))]
use words::Words as NativeBlock;

/// Appends `src`, unmasked, to `dst` and returns whether all of it is ASCII.
///
/// `key` applies from the first byte of `src`: for a payload that arrives in pieces, rotate it left by the
/// number of bytes already taken, modulo 4.
#[inline]
pub fn unmask_append(dst: &mut Vec<u8>, src: &[u8], key: [u8; 4]) -> bool {
    append::<NativeBlock>(dst, src, key)
}

/// The obvious way, one byte at a time: it judges the fast one in tests and benchmarks.
pub mod scalar {
    /// Does what [`unmask_append`](super::unmask_append) does.
    pub fn unmask_append(dst: &mut Vec<u8>, src: &[u8], key: [u8; 4]) -> bool {
        let mut ascii = true;
        for (&masked, key) in src.iter().zip(key.into_iter().cycle()) {
            let byte = masked ^ key;
            ascii &= byte.is_ascii();
            dst.push(byte);
        }
        ascii
    }
}

/// 16 bytes in whatever the machine does its arithmetic with.
trait Block: Copy {
    /// The key, repeated.
    fn key(key: [u8; 4]) -> Self;
    fn load(bytes: &[u8; BLOCK]) -> Self;
    /// Writes all of `out`.
    fn store(self, out: &mut [MaybeUninit<u8>; BLOCK]);
    fn xor(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn is_ascii(self) -> bool;
}

/// Bytes.
const BLOCK: usize = 16;

#[inline]
fn append<B: Block>(dst: &mut Vec<u8>, src: &[u8], key: [u8; 4]) -> bool {
    dst.reserve(src.len());
    let len = dst.len() + src.len();
    let out = &mut dst.spare_capacity_mut()[..src.len()];
    let ascii = unmask::<B>(out, src, key);
    // SAFETY: `reserve` has made room for `len` bytes. Those up to the old length were initialised before; `out` is
    // the rest, and `unmask` has written every byte of it.
    unsafe { dst.set_len(len) };
    ascii
}

/// Writes every byte of `out`, which is as long as `src`, and returns whether all of them are ASCII.
#[inline]
fn unmask<B: Block>(out: &mut [MaybeUninit<u8>], src: &[u8], key: [u8; 4]) -> bool {
    let (Some(last), Some(last_out)) = (src.last_chunk(), out.last_chunk_mut()) else {
        return unmask_short(out, src, key);
    };
    let last_key = B::key(turned(key, src.len()));
    let mut seen = B::load(last).xor(last_key);
    seen.store(last_out);

    let key = B::key(key);
    let (blocks, _) = src.as_chunks::<BLOCK>();
    let (outs, _) = out.as_chunks_mut::<BLOCK>();
    let (fours, blocks) = blocks.as_chunks::<4>();
    let (four_outs, outs) = outs.as_chunks_mut::<4>();
    for (four, outs) in fours.iter().zip(four_outs) {
        let [a, b, c, d] = four.each_ref().map(|block| B::load(block).xor(key));
        let [out_a, out_b, out_c, out_d] = outs;
        a.store(out_a);
        b.store(out_b);
        c.store(out_c);
        d.store(out_d);
        seen = seen.or(a.or(b).or(c.or(d)));
    }
    for (block, out) in blocks.iter().zip(outs) {
        let block = B::load(block).xor(key);
        block.store(out);
        seen = seen.or(block);
    }
    seen.is_ascii()
}

/// [`unmask`] for less than a block: 8 to 15, 4 to 7, or up to 3 bytes.
#[inline]
fn unmask_short(out: &mut [MaybeUninit<u8>], src: &[u8], key: [u8; 4]) -> bool {
    let word = u32::from_ne_bytes(key);
    let last_word = u32::from_ne_bytes(turned(key, src.len()));
    if let (Some(first), Some(last)) = (src.first_chunk(), src.last_chunk()) {
        let first = u64::from_ne_bytes(*first) ^ twice(word);
        let last = u64::from_ne_bytes(*last) ^ twice(last_word);
        out[..8].copy_from_slice(&first.to_ne_bytes().map(MaybeUninit::new));
        out[src.len() - 8..].copy_from_slice(&last.to_ne_bytes().map(MaybeUninit::new));
        return (first | last) & HIGH_BITS == 0;
    }
    if let (Some(first), Some(last)) = (src.first_chunk(), src.last_chunk()) {
        let first = u32::from_ne_bytes(*first) ^ word;
        let last = u32::from_ne_bytes(*last) ^ last_word;
        out[..4].copy_from_slice(&first.to_ne_bytes().map(MaybeUninit::new));
        out[src.len() - 4..].copy_from_slice(&last.to_ne_bytes().map(MaybeUninit::new));
        return u64::from(first | last) & HIGH_BITS == 0;
    }
    let mut seen = 0;
    for ((out, masked), key) in out.iter_mut().zip(src).zip(key) {
        seen |= *out.write(masked ^ key);
    }
    seen.is_ascii()
}

/// The key as it applies `offset` bytes further on, and also as many less any multiple of 4.
#[inline]
pub(super) fn turned(key: [u8; 4], offset: usize) -> [u8; 4] {
    // Rotating the array itself is a loop, five times as slow.
    let bits = 8 * (offset % 4) as u32;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

#[inline]
fn twice(word: u32) -> u64 {
    u64::from(word) << 32 | u64::from(word)
}

/// Set in a byte that is not ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi32,
        _mm_storeu_si128, _mm_xor_si128,
    };
    use std::mem::MaybeUninit;

    use super::{BLOCK, Block};

    #[derive(Clone, Copy)]
    pub(super) struct Register(__m128i);

    impl Block for Register {
        #[inline]
        fn key(key: [u8; 4]) -> Self {
            // SAFETY: as everywhere below, SSE2 is part of the x86_64 baseline.
            Self(unsafe { _mm_set1_epi32(i32::from_ne_bytes(key)) })
        }

        #[inline]
        fn load(bytes: &[u8; BLOCK]) -> Self {
            // SAFETY: SSE2 is there; reads 16 bytes at any alignment, and the array is that long.
            Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        #[inline]
        fn store(self, out: &mut [MaybeUninit<u8>; BLOCK]) {
            // SAFETY: SSE2 is there; writes 16 bytes at any alignment, and the array is that long and ours alone.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), self.0) }
        }

        #[inline]
        fn xor(self, other: Self) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_xor_si128(self.0, other.0) })
        }

        #[inline]
        fn or(self, other: Self) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_or_si128(self.0, other.0) })
        }

        #[inline]
        fn is_ascii(self) -> bool {
            // SAFETY: SSE2 is there.
            let high_bits = unsafe { _mm_movemask_epi8(self.0) };
            high_bits == 0
        }
    }
}

/// For machines without a block of their own; tested on all.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use std::mem::MaybeUninit;

    use super::{BLOCK, Block, HIGH_BITS, twice};

    #[derive(Clone, Copy)]
    pub(super) struct Words(u64, u64);

    impl Block for Words {
        #[inline]
        fn key(key: [u8; 4]) -> Self {
            let word = twice(u32::from_ne_bytes(key));
            Self(word, word)
        }

        #[inline]
        fn load(bytes: &[u8; BLOCK]) -> Self {
            let [first, second] =
                [0, 8].map(|at| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte])));
            Self(first, second)
        }

        #[inline]
        fn store(self, out: &mut [MaybeUninit<u8>; BLOCK]) {
            out[..8].copy_from_slice(&self.0.to_ne_bytes().map(MaybeUninit::new));
            out[8..].copy_from_slice(&self.1.to_ne_bytes().map(MaybeUninit::new));
        }

        #[inline]
        fn xor(self, other: Self) -> Self {
            Self(self.0 ^ other.0, self.1 ^ other.1)
        }

        #[inline]
        fn or(self, other: Self) -> Self {
            Self(self.0 | other.0, self.1 | other.1)
        }

        #[inline]
        fn is_ascii(self) -> bool {
            (self.0 | self.1) & HIGH_BITS == 0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type UnmaskAppend = fn(&mut Vec<u8>, &[u8], [u8; 4]) -> bool;

    /// Every way on the same input, behind `before` bytes that are there already.
    fn all(src: &[u8], key: [u8; 4], before: usize) -> [(Vec<u8>, bool); 3] {
        let ways: [UnmaskAppend; 3] =
            [unmask_append, append::<words::Words>, scalar::unmask_append];
        ways.map(|way| {
            let mut dst = vec![0xaa; before];
            let ascii = way(&mut dst, src, key);
            (dst, ascii)
        })
    }

    /// Bytes: several times the four blocks that are taken at once.
    const LENGTHS: usize = if cfg!(miri) { 150 } else { 600 };

    #[test]
    fn agrees_with_its_scalar_twin_at_every_length() {
        let src: Vec<u8> = (0..LENGTHS).map(|at| (at * 7) as u8).collect();
        for len in 0..=LENGTHS {
            let [fast, words, judge] = all(&src[..len], [1, 2, 0x83, 4], len % 5);
            assert_eq!(fast, judge, "{len} bytes");
            assert_eq!(words, judge, "{len} bytes");
        }
    }

    #[test]
    fn finds_one_byte_that_is_not_ascii_anywhere() {
        let key = [0x91, 0x02, 0xf3, 0x04];
        for len in [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 257, 300] {
            let mut src: Vec<u8> = (0..len).map(|at| b'a' ^ key[at % 4]).collect();
            assert!(
                unmask_append(&mut Vec::new(), &src, key),
                "{len} bytes of ASCII"
            );
            for at in 0..len {
                src[at] ^= 0x80;
                assert!(
                    !unmask_append(&mut Vec::new(), &src, key),
                    "{len} bytes, one at {at}"
                );
                src[at] ^= 0x80;
            }
        }
    }

    #[test]
    fn nothing_is_ascii() {
        assert_eq!(all(&[], [1, 2, 3, 4], 3)[0], (vec![0xaa; 3], true));
    }

    proptest! {
        #[test]
        fn agrees_with_its_scalar_twin(
            bytes in prop::collection::vec(any::<u8>(), 0..700),
            skip in 0_usize..40,
            before in 0_usize..40,
            key in any::<[u8; 4]>(),
            ascii in any::<bool>(),
        ) {
            let src = &bytes[skip.min(bytes.len())..];
            let mut src = src.to_vec();
            if ascii {
                for (byte, key) in src.iter_mut().zip(key.iter().cycle()) {
                    *byte = (*byte & 0x7f) ^ key;
                }
            }
            // Unaligned by `skip` again, as `to_vec` made an aligned copy.
            let shifted = [&vec![0; skip][..], &src].concat();
            let [fast, words, judge] = all(&shifted[skip..], key, before);
            prop_assert_eq!(&fast, &judge);
            prop_assert_eq!(words, judge);
        }
    }
}
