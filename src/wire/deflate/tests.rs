use super::*;
use proptest::prelude::*;

const LIMIT: u64 = 1 << 20;

fn pack(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(Deflater::new(15).compress(payload, None, &mut out));
    out
}

fn unpack(packed: &[u8], limit: u64) -> Result<Vec<u8>, ProtocolError> {
    let mut out = b"before".to_vec();
    Inflater::default().inflate(&mut packed.to_vec(), None, limit, &mut out)?;
    Ok(out.split_off(6))
}

/// With flate2 alone: a whole stream, which ends with a final block.
fn finished(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 1000);
    let status = Compress::new(Compression::default(), false).compress_vec(
        payload,
        &mut out,
        FlushCompress::Finish,
    );
    assert_eq!(status.ok(), Some(Status::StreamEnd));
    out
}

/// Little of it can be compressed by itself.
fn text(len: usize) -> Vec<u8> {
    (1..)
        .flat_map(|i: u32| i.wrapping_mul(2_654_435_761).to_string().into_bytes())
        .take(len)
        .collect()
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // 7.2.3: one block, two blocks, a stored block, a final block, two messages' worth of blocks.
    for packed in [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    ] {
        assert_eq!(unpack(packed, LIMIT).as_deref(), Ok(&b"Hello"[..]));
    }
    // 7.2.3.2: the second message refers to the first.
    let mut inflater = Inflater::default();
    let mut history = History::new(15);
    for packed in [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
    ] {
        let mut out = Vec::new();
        let read = inflater.inflate(&mut packed.to_vec(), Some(&mut history), LIMIT, &mut out);
        assert_eq!((read, &out[..]), (Ok(()), &b"Hello"[..]));
    }
    // Without the first it does not.
    let alone = unpack(&[0xf2, 0x00, 0x11, 0x00, 0x00], LIMIT);
    assert_eq!(alone, Err(ProtocolError::InvalidCompressedData));
}

#[test]
fn the_limit_is_on_what_comes_out() {
    let packed = pack(&[0; 10_000]);
    assert!(packed.len() < 100);
    assert_eq!(unpack(&packed, 10_000).map(|out| out.len()), Ok(10_000));
    assert_eq!(unpack(&packed, 9_999), Err(ProtocolError::MessageTooBig));
    assert_eq!(unpack(&pack(b"a"), 0), Err(ProtocolError::MessageTooBig));
    assert_eq!(unpack(&pack(b"a"), u64::MAX), Ok(b"a".to_vec()));
}

#[test]
fn a_bomb_is_left_after_one_block_too_much() {
    // 64 MiB of zeros in 64 KiB.
    let packed = pack(&vec![0; 64 << 20]);
    assert!(packed.len() < 128 << 10, "{}", packed.len());
    let mut out = Vec::new();
    let read = Inflater::default().inflate(&mut packed.clone(), None, 100_000, &mut out);
    assert_eq!(read, Err(ProtocolError::MessageTooBig));
    assert!(out.len() <= 100_000 + BLOCK, "{}", out.len());
    assert!(out.capacity() <= 400_000, "{}", out.capacity());
}

#[test]
fn final_blocks_may_be_anywhere() {
    let one = finished(b"one");
    assert_eq!(unpack(&one, LIMIT), Ok(b"one".to_vec()));
    let behind = [&one[..], &[0]].concat();
    assert_eq!(unpack(&behind, LIMIT), Ok(b"one".to_vec()));
    let two = [&one[..], &finished(b"two")[..]].concat();
    assert_eq!(unpack(&two, LIMIT), Ok(b"onetwo".to_vec()));
    let mixed = [&one[..], &pack(b"two")[..]].concat();
    assert_eq!(unpack(&mixed, LIMIT), Ok(b"onetwo".to_vec()));
}

#[test]
fn a_stream_behind_a_final_block_may_refer_to_what_was_before_it() {
    let long = text(20_000);
    let mut history = History::new(15);
    history.push(&long);
    let mut compress = Compress::new(Compression::default(), false);
    let mut first = Vec::with_capacity(100);
    compress
        .set_dictionary(&long)
        .expect("raw streams take one");
    compress
        .compress_vec(b"first", &mut first, FlushCompress::Finish)
        .expect("there is room");
    let before = [&long[..], b"first"].concat();
    let mut second = Vec::with_capacity(25_000);
    compress.reset();
    compress
        .set_dictionary(&before)
        .expect("raw streams take one");
    compress
        .compress_vec(&before, &mut second, FlushCompress::Finish)
        .expect("there is room");
    assert!(second.len() < 1000, "does not refer back: {}", second.len());
    let mut out = Vec::new();
    let read = Inflater::default().inflate(
        &mut [first, second].concat(),
        Some(&mut history),
        LIMIT,
        &mut out,
    );
    assert_eq!(read, Ok(()));
    assert_eq!(out, [b"first", &before[..]].concat());
}

#[test]
fn the_number_of_streams_is_bounded_by_the_length() {
    let streams = |n: usize| finished(b"").repeat(n);
    assert_eq!(unpack(&streams(2), LIMIT), Ok(Vec::new()));
    let many = unpack(&streams(10_000), LIMIT);
    assert_eq!(many, Err(ProtocolError::InvalidCompressedData));
    // What a real client sends has far longer ones.
    let real = finished(&text(2000)).repeat(100);
    assert_eq!(unpack(&real, LIMIT).map(|out| out.len()), Ok(200_000));
}

#[test]
fn empty_stored_blocks_are_nothing() {
    let packed = pack(b"x");
    for blocks in [
        &[0, 0, 0, 0xff, 0xff][..],
        &[0, 0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff],
    ] {
        assert_eq!(
            unpack(&[blocks, &packed].concat(), LIMIT),
            Ok(b"x".to_vec())
        );
        // Not cut off at the end, as 7.2.1 wants it: taken for what it is.
        assert_eq!(unpack(blocks, LIMIT), Ok(Vec::new()));
    }
    let uncut = [&packed[..], &SYNC].concat();
    assert_eq!(unpack(&uncut, LIMIT), Ok(b"x".to_vec()));
    assert_eq!(unpack(&[0], LIMIT), Ok(Vec::new()));
    assert_eq!(unpack(&[], LIMIT), Ok(Vec::new()));
}

#[test]
fn broken_data_is_refused() {
    let invalid = Err(ProtocolError::InvalidCompressedData);
    assert_eq!(unpack(&[0xff; 4], LIMIT), invalid);
    assert_eq!(unpack(&[0x07], LIMIT), invalid); // reserved block type
    assert_eq!(unpack(&[0, 5, 0, 0, 0], LIMIT), invalid); // wrong complement
    assert_eq!(
        unpack(&[&finished(b"x")[..], b"trailing"].concat(), LIMIT),
        invalid
    );
    // Anything that breaks off inside a block, but where its bits happen to be a message too.
    let packed = pack(&text(3000));
    for cut in 1..packed.len() {
        assert_eq!(unpack(&packed[..cut], LIMIT), invalid, "{cut}");
    }
}

#[test]
fn connections_take_turns_with_one_compressor() {
    let messages: Vec<_> = (0..40).map(|i| text(100 + i * 37)).collect();
    for window in 8..=15 {
        let mut deflater = Deflater::new(window);
        let mut inflater = Inflater::default();
        let mut sent = [History::new(window), History::new(window)];
        let mut received = [History::new(window), History::new(window)];
        let mut saved = 0;
        for (i, message) in messages.iter().enumerate() {
            let peer = i % 3 % 2;
            let mut packed = Vec::new();
            let context = Some((&mut sent[peer], peer as u64 + 1));
            assert!(deflater.compress(message, context, &mut packed));
            saved += pack(message).len().saturating_sub(packed.len());
            let mut out = Vec::new();
            let read = inflater.inflate(&mut packed, Some(&mut received[peer]), LIMIT, &mut out);
            assert_eq!(read, Ok(()));
            assert_eq!(&out, message);
        }
        assert!(saved > 1000 || window < 11, "{window}: {saved}");
        for history in sent.iter().chain(&received) {
            assert!(history.bytes.capacity() <= 1 << window);
        }
    }
}

#[test]
fn the_second_of_two_equal_messages_is_small() {
    let mut deflater = Deflater::new(15);
    let message = text(10_000);
    let mut history = History::new(15);
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let mut out = Vec::new();
        assert!(deflater.compress(&message, Some((&mut history, 1)), &mut out));
        sizes.push(out.len());
        // Another connection in between takes the compressor.
        assert!(deflater.compress(b"other", None, &mut out));
    }
    assert!(sizes[1] * 10 < sizes[0], "{sizes:?}");
}

proptest! {
    #[test]
    fn what_is_compressed_is_read_again(
        messages in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 1..300),
                prop::collection::vec(0..3u8, 1..5000),
                (1..40_000usize).prop_map(text),
            ],
            1..8,
        ),
        window in 8..=15u8,
        takeover: bool,
    ) {
        let mut deflater = Deflater::new(window);
        let mut inflater = Inflater::default();
        let mut sent = History::new(window);
        let mut received = History::new(window);
        for message in &messages {
            let mut packed = vec![7];
            prop_assert!(deflater.compress(message, takeover.then_some((&mut sent, 1)), &mut packed));
            let mut packed = packed.split_off(1);
            prop_assert!(packed.last().is_some_and(|last| *last < 0xff));
            let mut out = Vec::new();
            let history = takeover.then_some(&mut received);
            prop_assert_eq!(inflater.inflate(&mut packed, history, message.len() as u64, &mut out), Ok(()));
            prop_assert_eq!(&out, message);
        }
    }

    #[test]
    fn what_flate2_makes_is_read(
        payload in prop::collection::vec(0..20u8, 0..3000),
        level in 0..=9u32,
        cuts in prop::collection::vec(0..3000usize, 0..4),
        ends: bool,
    ) {
        // Flushed in several places.
        let mut compress = Compress::new(Compression::new(level), false);
        let mut packed = Vec::with_capacity(10_000);
        let mut rest = &payload[..];
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            compress.compress_vec(piece, &mut packed, FlushCompress::Sync).expect("there is room");
            rest = behind;
        }
        let flush = if ends { FlushCompress::Finish } else { FlushCompress::Sync };
        compress.compress_vec(rest, &mut packed, flush).expect("there is room");
        prop_assert_eq!(unpack(&packed, LIMIT), Ok(payload.clone()));
        if !ends && packed.ends_with(&SYNC) {
            packed.truncate(packed.len() - SYNC.len());
            prop_assert_eq!(unpack(&packed, LIMIT), Ok(payload));
        }
    }

    #[test]
    fn anything_ends_within_the_limit(packed in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut out = Vec::new();
        let read = Inflater::default().inflate(&mut packed.clone(), None, 1000, &mut out);
        prop_assert!(out.len() <= 1000 + BLOCK);
        prop_assert!(read.is_err() || out.len() <= 1000);
    }
}
