use proptest::prelude::*;

use super::*;
use crate::wire::{LARGE, put_frame};

const LIMITS: Limits = Limits {
    max_payload_length: 1000,
};

/// What came out of a decoder, with the payloads looked up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Outcome {
    frames: Vec<(FrameKind, Vec<u8>, bool)>,
    error: Option<ProtocolError>,
}

impl Outcome {
    fn take(&mut self, decoder: &mut Decoder, input: &[u8], limits: Limits) {
        // Not empty, so that a range counted from the wrong end shows.
        let mut arena = b"before".to_vec();
        let (frames, result) = decode_all(decoder, input, limits, &mut arena);
        assert!(arena.starts_with(b"before"));
        self.frames.extend(frames.into_iter().map(|frame| {
            let payload = match frame.payload {
                Payload::Arena { start, len } => arena[start..start + len].to_vec(),
                Payload::Owned(payload) => payload,
            };
            (frame.kind, payload, frame.compressed)
        }));
        self.error = result.err();
    }
}

/// Everything that comes out of `input`, and how it ends.
fn decode_all(
    decoder: &mut Decoder,
    mut input: &[u8],
    limits: Limits,
    arena: &mut Vec<u8>,
) -> (Vec<Frame>, Result<(), ProtocolError>) {
    let mut frames = Vec::new();
    loop {
        match decoder.next(&mut input, limits, arena) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => {
                assert!(input.is_empty(), "left something");
                return (frames, Ok(()));
            }
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// Decodes `input` in one go.
fn decode(input: &[u8]) -> Outcome {
    decode_pieces([input], false)
}

fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rsv1_allowed: bool) -> Outcome {
    let mut decoder = Decoder::new(rsv1_allowed);
    let mut outcome = Outcome::default();
    for piece in pieces {
        outcome.take(&mut decoder, piece, LIMITS);
        if outcome.error.is_some() {
            break;
        }
    }
    outcome
}

/// A masked frame with the given first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let form = match payload.len() {
        0..=125 => 7,
        126..=0xffff => 16,
        _ => 64,
    };
    frame_with(first, payload, payload.len() as u64, form, true)
}

/// A frame whose header may lie about its payload.
fn frame_with(first: u8, payload: &[u8], claimed: u64, form: u8, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    let length = claimed.to_be_bytes();
    match form {
        7 => out.push(mask_bit | length[7]),
        16 => {
            out.push(mask_bit | 0x7e);
            out.extend(&length[6..]);
        }
        _ => {
            out.push(mask_bit | 0x7f);
            out.extend(length);
        }
    }
    if !masked {
        out.extend(payload);
        return out;
    }
    let key = [0x11, 0x22, 0x33, 0xf4];
    out.extend(key);
    out.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

fn text(payload: &str) -> (FrameKind, Vec<u8>, bool) {
    let ascii = payload.is_ascii();
    (FrameKind::Text { ascii }, payload.into(), false)
}

fn of_kind(kind: FrameKind, payload: &[u8]) -> (FrameKind, Vec<u8>, bool) {
    (kind, payload.to_vec(), false)
}

fn decoded(frames: impl IntoIterator<Item = (FrameKind, Vec<u8>, bool)>) -> Outcome {
    Outcome {
        frames: frames.into_iter().collect(),
        error: None,
    }
}

fn refused(error: ProtocolError) -> Outcome {
    Outcome {
        frames: Vec::new(),
        error: Some(error),
    }
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 48, "{} bytes", size_of::<Decoder>());
}

#[test]
fn decodes_whole_frames() {
    let input = [
        frame(0x81, b"hello"),
        frame(0x82, b"\x00\xff"),
        frame(0x81, "zwölf".as_bytes()),
        frame(0x89, b"ping"),
        frame(0x8a, b""),
        frame(0x81, b""),
    ]
    .concat();
    let expected = decoded([
        text("hello"),
        of_kind(FrameKind::Binary, b"\x00\xff"),
        text("zwölf"),
        of_kind(FrameKind::Ping, b"ping"),
        of_kind(FrameKind::Pong, b""),
        text(""),
    ]);
    assert_eq!(decode(&input), expected);
}

#[test]
fn accepts_lengths_not_in_their_shortest_form() {
    let input = [
        frame_with(0x81, b"x", 1, 16, true),
        frame_with(0x81, b"y", 1, 64, true),
    ]
    .concat();
    assert_eq!(decode(&input), decoded([text("x"), text("y")]));
}

#[test]
fn joins_fragments_around_control_frames() {
    let input = [
        frame(0x01, b"one "),
        frame(0x89, b"in between"),
        frame(0x00, b""),
        frame(0x80, b"message"),
        frame(0x02, b"a"),
        frame(0x80, b"b"),
    ]
    .concat();
    let expected = decoded([
        of_kind(FrameKind::Ping, b"in between"),
        text("one message"),
        of_kind(FrameKind::Binary, b"ab"),
    ]);
    assert_eq!(decode(&input), expected);
}

#[test]
fn joins_a_character_split_between_fragments() {
    let input = [frame(0x01, b"\xe2"), frame(0x80, b"\x82\xac")].concat();
    assert_eq!(decode(&input), decoded([text("€")]));
}

#[test]
fn swallows_everything_after_a_close_frame() {
    let mut decoder = Decoder::new(false);
    let mut outcome = Outcome::default();
    // inside an unfinished message, and with garbage behind it
    let input = [
        frame(0x01, b"half"),
        frame(0x88, b"\x03\xe8"),
        vec![0xff; 40],
    ]
    .concat();
    outcome.take(&mut decoder, &input, LIMITS);
    outcome.take(&mut decoder, &frame(0x81, b"late"), LIMITS);
    assert_eq!(outcome, decoded([of_kind(FrameKind::Close, b"\x03\xe8")]));
    assert!(decoder.is_idle());
}

#[test]
fn refuses_everything_after_a_violation() {
    let mut decoder = Decoder::new(false);
    let mut outcome = Outcome::default();
    let input = [
        frame(0x81, b"good"),
        frame(0x83, b"bad"),
        frame(0x81, b"never"),
    ]
    .concat();
    outcome.take(&mut decoder, &input, LIMITS);
    outcome.take(&mut decoder, &frame(0x81, b"late"), LIMITS);
    assert_eq!(outcome.frames, [text("good")]);
    assert_eq!(outcome.error, Some(ProtocolError::InvalidOpcode));
}

#[test]
fn names_each_violation() {
    use ProtocolError as E;
    let inside = |next: Vec<u8>| [frame(0x01, b"a"), next].concat();
    let cases = [
        (frame_with(0x81, b"x", 1, 7, false), E::UnmaskedFrame),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), E::UnmaskedFrame),
        (frame(0xc1, b"x"), E::UnexpectedRsv1),
        (frame(0xa1, b"x"), E::UnexpectedRsv2Or3),
        (frame(0x91, b"x"), E::UnexpectedRsv2Or3),
        (frame(0x83, b"x"), E::InvalidOpcode),
        (frame(0x8f, b""), E::InvalidOpcode),
        (frame(0x09, b"x"), E::FragmentedControlFrame),
        (frame(0x89, &[0; 126]), E::ControlFrameTooBig),
        (frame_with(0x89, b"x", 1, 16, true), E::ControlFrameTooBig),
        (frame(0x80, b"x"), E::UnexpectedContinuation),
        (frame(0x00, &[0; 1001]), E::UnexpectedContinuation),
        (inside(frame(0x81, b"b")), E::UnfinishedMessage),
        (inside(frame(0x02, &[0; 1001])), E::UnfinishedMessage),
        (frame_with(0x82, b"", 1 << 63, 64, true), E::MessageTooBig),
        (frame_with(0x82, b"", u64::MAX, 64, true), E::MessageTooBig),
        (
            inside(frame_with(0x00, b"", u64::MAX, 64, true)),
            E::MessageTooBig,
        ),
        (frame(0x81, b"\xce\xba\xff"), E::InvalidUtf8),
        (frame(0x81, b"\xc0\xaf"), E::InvalidUtf8),
        (frame(0x81, b"\xed\xa0\x80"), E::InvalidUtf8),
        (frame(0x81, b"\xe2\x82"), E::InvalidUtf8),
        (inside(frame(0x80, b"\xff")), E::InvalidUtf8),
        (inside(frame(0x80, b"\xe2")), E::InvalidUtf8),
    ];
    for (input, error) in cases {
        assert_eq!(decode(&input), refused(error), "{input:02x?}");
    }
}

#[test]
fn notices_bad_text_as_soon_as_the_byte_is_read() {
    // in a fragment that is not the last
    assert_eq!(
        decode(&frame(0x01, b"\xff")),
        refused(ProtocolError::InvalidUtf8)
    );
    // in a frame of which 3 bytes of 100 have arrived; ed a0 would begin a surrogate
    let partial = frame_with(0x81, b"a\xed\xa0", 100, 7, true);
    assert_eq!(decode(&partial), refused(ProtocolError::InvalidUtf8));
    let (front, last) = partial.split_at(partial.len() - 1);
    assert_eq!(decode(front), Outcome::default());
    assert_eq!(
        decode_pieces([front, last], false),
        refused(ProtocolError::InvalidUtf8)
    );
    // in a continuation whose first byte does not go on with the open character
    let input = [frame(0x01, b"\xe2"), frame_with(0x80, b"a", 100, 7, true)].concat();
    assert_eq!(decode(&input), refused(ProtocolError::InvalidUtf8));
}

#[test]
fn limits_hold_at_one_below_at_and_one_above() {
    let admitted = |max_payload_length, payload: usize, first_fragment: usize| {
        let payload = vec![0; payload];
        let (first, last) = payload.split_at(first_fragment);
        let whole = frame(0x82, &payload);
        let fragments = [frame(0x02, first), frame(0x80, last)].concat();
        [whole, fragments].map(|input| {
            let mut outcome = Outcome::default();
            let limits = Limits { max_payload_length };
            outcome.take(&mut Decoder::new(false), &input, limits);
            match outcome.error {
                None => outcome.frames == [of_kind(FrameKind::Binary, &payload)],
                Some(error) => {
                    assert_eq!(error, ProtocolError::MessageTooBig);
                    false
                }
            }
        })
    };
    for max in [1_u64, 125, 126, 1000, 65_535, 65_536] {
        let at = max as usize;
        assert_eq!(admitted(max, at - 1, at / 2), [true; 2]);
        assert_eq!(admitted(max, at, at / 2), [true; 2]);
        assert_eq!(admitted(max, at + 1, at / 2), [false; 2]);
    }
    assert_eq!(admitted(0, 0, 0), [true; 2]);
    assert_eq!(admitted(0, 1, 1), [false; 2]);
    assert_eq!(admitted(u64::MAX, 3, 1), [true; 2]);
}

#[test]
fn judges_a_message_by_its_header_alone() {
    let header = frame_with(0x82, b"", 1001, 16, true);
    assert_eq!(decode(&header), refused(ProtocolError::MessageTooBig));
    let sum = [frame(0x02, &[0; 600]), frame_with(0x80, b"", 401, 16, true)].concat();
    assert_eq!(decode(&sum), refused(ProtocolError::MessageTooBig));
}

#[test]
fn control_frames_have_a_limit_of_their_own() {
    let limits = Limits {
        max_payload_length: 0,
    };
    let mut outcome = Outcome::default();
    outcome.take(&mut Decoder::new(false), &frame(0x89, &[7; 125]), limits);
    assert_eq!(outcome, decoded([of_kind(FrameKind::Ping, &[7; 125])]));
}

#[test]
fn a_claimed_length_costs_nothing() {
    let limits = Limits {
        max_payload_length: u64::MAX,
    };
    let mut decoder = Decoder::new(false);
    let mut outcome = Outcome::default();
    // Would fail to allocate, or be too slow to pass, if room were made for it.
    let input = frame_with(0x82, b"abc", u64::MAX >> 1, 64, true);
    outcome.take(&mut decoder, &input, limits);
    assert_eq!(outcome, Outcome::default());
    assert!(!decoder.is_idle());
}

#[test]
fn is_idle_between_messages_only() {
    let mut decoder = Decoder::new(false);
    let mut outcome = Outcome::default();
    assert!(decoder.is_idle());
    let input = [frame(0x01, b"ab"), frame(0x89, b"p"), frame(0x80, b"cd")].concat();
    for (at, byte) in input.iter().enumerate() {
        outcome.take(&mut decoder, &[*byte], LIMITS);
        assert_eq!(decoder.is_idle(), at + 1 == input.len(), "after byte {at}");
    }
    assert_eq!(
        outcome,
        decoded([of_kind(FrameKind::Ping, b"p"), text("abcd")])
    );
}

#[test]
fn large_messages_in_pieces_keep_their_buffer() {
    let limits = Limits {
        max_payload_length: u64::MAX,
    };
    for len in [LARGE - 1, LARGE, LARGE + 1] {
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let input = frame(0x82, &payload);
        let mut decoder = Decoder::new(false);
        let mut arena = Vec::new();
        let mut frames = Vec::new();
        for piece in input.chunks(10_000) {
            let (more, result) = decode_all(&mut decoder, piece, limits, &mut arena);
            frames.extend(more);
            assert_eq!(result, Ok(()));
        }
        let payloads: Vec<Payload> = frames.into_iter().map(|frame| frame.payload).collect();
        if len < LARGE {
            assert_eq!(payloads, [Payload::Arena { start: 0, len }]);
            assert_eq!(arena, payload);
        } else {
            let [Payload::Owned(owned)] = &payloads[..] else {
                panic!("not a buffer of its own: {payloads:?}");
            };
            assert_eq!(owned, &payload);
            assert_eq!(owned.capacity(), len, "more room than the message needs");
            assert!(arena.is_empty());
        }
    }
}

#[test]
fn compressed_messages_are_handed_on_unchecked() {
    // neither UTF-8 nor a deflate stream: the session inflates and judges
    let input = [
        frame(0xc1, b"\xff\xfe"),
        frame(0x42, b"a"),
        frame(0x80, b"b"),
        frame(0x41, b"\xff"),
        frame(0x80, b""),
        frame(0xc1, b"ascii"),
        frame(0x81, b"plain"),
    ]
    .concat();
    let compressed_text = FrameKind::Text { ascii: false };
    let expected = decoded([
        (compressed_text, b"\xff\xfe".to_vec(), true),
        (FrameKind::Binary, b"ab".to_vec(), true),
        (compressed_text, b"\xff".to_vec(), true),
        (compressed_text, b"ascii".to_vec(), true),
        text("plain"),
    ]);
    for size in [1, 2, 3, input.len()] {
        assert_eq!(decode_pieces(input.chunks(size), true), expected);
    }
}

#[test]
fn rsv1_is_refused_on_all_but_the_first_fragment() {
    for first in [0xc0, 0x40] {
        let input = [frame(0x41, b"a"), frame(first, b"b")].concat();
        assert_eq!(
            decode_pieces([&input[..]], true),
            refused(ProtocolError::UnexpectedRsv1)
        );
    }
    let second = [frame(0x41, b"a"), frame(0xc1, b"b")].concat();
    assert_eq!(
        decode_pieces([&second[..]], true),
        refused(ProtocolError::UnfinishedMessage)
    );
}

/// First bytes: good ones often, every other now and then.
fn first_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        30 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0xc1]),
        1 => any::<u8>(),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => "[a-z]{0,20}".prop_map(String::into_bytes),
        10 => "(?s).{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..5),
        2 => (120_usize..=400).prop_map(|len| vec![b'x'; len]),
    ]
}

/// Bytes that are mostly frames, mostly in a sensible order, and sometimes cut off or wrong.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let form = prop_oneof![20 => Just(None), 1 => Just(Some(16_u8)), 1 => Just(Some(64))];
    let one = (first_byte(), payload(), form, prop::bool::weighted(0.99)).prop_map(
        |(first, payload, form, masked)| match form {
            Some(form) => frame_with(first, &payload, payload.len() as u64, form, masked),
            None => frame(first, &payload),
        },
    );
    prop::collection::vec(one, 0..8).prop_map(|frames| frames.concat())
}

/// Cuts `input` at the given places.
fn pieces<'a>(input: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|range| &input[range[0]..range[1]])
        .collect()
}

/// A message as a client sends it: whole or in fragments, with control frames in between.
#[derive(Debug, Clone)]
struct Sent {
    text: bool,
    payload: Vec<u8>,
    cuts: Vec<prop::sample::Index>,
    ping: Option<Vec<u8>>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let body = prop_oneof![
        "(?s).{0,80}".prop_map(|text| (true, text.into_bytes())),
        bytes.prop_map(|bytes| (false, bytes)),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let ping = prop::option::of(prop::collection::vec(any::<u8>(), 0..=125));
    (body, cuts, ping).prop_map(|((text, payload), cuts, ping)| Sent {
        text,
        payload,
        cuts,
        ping,
    })
}

proptest! {
    #[test]
    fn any_split_decodes_alike(
        input in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        rsv1_allowed in any::<bool>(),
    ) {
        let whole = decode_pieces([&input[..]], rsv1_allowed);
        prop_assert_eq!(&decode_pieces(pieces(&input, &cuts), rsv1_allowed), &whole);
        prop_assert_eq!(&decode_pieces(input.chunks(1), rsv1_allowed), &whole);
    }

    #[test]
    fn what_is_sent_is_what_comes_out(
        messages in prop::collection::vec(sent(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut input = Vec::new();
        let mut expected = Vec::new();
        for Sent { text: is_text, payload, cuts, ping } in &messages {
            let fragments = pieces(payload, cuts);
            for (at, fragment) in fragments.iter().enumerate() {
                let opcode = match (at, is_text) {
                    (0, true) => Opcode::Text,
                    (0, false) => Opcode::Binary,
                    _ => Opcode::Continuation,
                };
                let last = at + 1 == fragments.len();
                let fin = if last { 0x80 } else { 0 };
                input.extend(frame(fin | opcode as u8, fragment));
                if let (Some(ping), false) = (ping, last) {
                    input.extend(frame(0x89, ping));
                    expected.push(of_kind(FrameKind::Ping, ping));
                }
            }
            let kind = if *is_text {
                FrameKind::Text { ascii: payload.is_ascii() }
            } else {
                FrameKind::Binary
            };
            expected.push(of_kind(kind, payload));
        }
        let outcome = decode_pieces(pieces(&input, &cuts), false);
        prop_assert_eq!(outcome, decoded(expected));
    }

    #[test]
    fn encode_then_decode_is_identity(
        opcode in prop::sample::select(vec![Opcode::Binary, Opcode::Ping, Opcode::Pong]),
        payload in prop::collection::vec(any::<u8>(), 0..=400),
        key in any::<[u8; 4]>(),
    ) {
        let payload = if opcode.is_control() { &payload[..payload.len().min(125)] } else { &payload[..] };
        let mut input = Vec::new();
        put_frame(&mut input, opcode, payload);
        // The encoder writes a server's frames: mask this one as a client would.
        let masked: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let header_len = input.len() - payload.len();
        input.truncate(header_len);
        input[1] |= 0x80;
        input.extend(key);
        input.extend(masked);
        let kind = match opcode {
            Opcode::Ping => FrameKind::Ping,
            Opcode::Pong => FrameKind::Pong,
            _ => FrameKind::Binary,
        };
        prop_assert_eq!(decode(&input), decoded([of_kind(kind, payload)]));
    }

    #[test]
    fn arbitrary_bytes_are_harmless(
        input in prop::collection::vec(any::<u8>(), 0..200),
        rsv1_allowed in any::<bool>(),
    ) {
        let whole = decode_pieces([&input[..]], rsv1_allowed);
        prop_assert_eq!(decode_pieces(input.chunks(1), rsv1_allowed), whole);
    }
}
