//! G.711, both laws (ITU-T G.711, tables 1a to 2b), on 16-bit linear samples.
//!
//! The recommendation counts mu-law in 14 bits and A-law in 13; samples here are those numbers
//! moved up to 16 bits, so that mu-law peaks at 32,124 and A-law at 32,256. A value right between
//! two steps takes the one further from zero, for both signs alike.

/// Reads one mu-law byte.
pub const fn decode_mulaw(byte: u8) -> i16 {
    MULAW_TO_LINEAR[byte as usize]
}

/// Writes one sample as mu-law; what is louder than the law can say is clipped.
pub const fn encode_mulaw(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs();
    let biased =
        if magnitude > MULAW_CLIP { MULAW_CLIP + MULAW_BIAS } else { magnitude + MULAW_BIAS };
    // The bias puts the highest bit of the first segment at bit 7, of the last at bit 14.
    let segment = 8 - biased.leading_zeros() as u16;
    let step = (biased >> (segment + 3)) & 0x0F;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4 | step) as u8)
}

/// Reads one A-law byte.
pub const fn decode_alaw(byte: u8) -> i16 {
    ALAW_TO_LINEAR[byte as usize]
}

/// Writes one sample as A-law; the law covers the whole range of 16 bits but for its last step.
pub const fn encode_alaw(sample: i16) -> u8 {
    let magnitude = match sample.unsigned_abs() >> 4 {
        0x800 => 0x7FF,
        magnitude => magnitude,
    };
    // Eleven bits are left. The first two segments share one step width; the last has bit 10.
    let code = if magnitude < 0x20 {
        magnitude
    } else {
        let segment = 12 - magnitude.leading_zeros() as u16;
        segment << 4 | ((magnitude >> (segment - 1)) & 0x0F)
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | code as u8) ^ ALAW_EVEN_BITS
}

/// Added before the logarithm is taken: 33 in the recommendation's 14 bits.
const MULAW_BIAS: u16 = 33 << 2;

/// Loudest magnitude that fits with its bias: 8,158 in the recommendation's 14 bits, and the
/// fraction that 16 bits add.
const MULAW_CLIP: u16 = 0x7FFF - MULAW_BIAS;

/// A-law is sent with every other bit inverted.
const ALAW_EVEN_BITS: u8 = 0x55;

static MULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = !(byte as u8);
        let segment = (code >> 4) & 0x07;
        let step = (code & 0x0F) as i16;
        let magnitude = (((step << 3) + MULAW_BIAS as i16) << segment) - MULAW_BIAS as i16;
        table[byte] = if code & 0x80 == 0 { magnitude } else { -magnitude };
        byte += 1;
    }
    table
};

static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = byte as u8 ^ ALAW_EVEN_BITS;
        let segment = (code >> 4) & 0x07;
        // The middle of the step: half a step above its beginning.
        let middle = ((code & 0x0F) as i16) * 16 + 8;
        let magnitude = if segment == 0 { middle } else { (middle + 0x100) << (segment - 1) };
        table[byte] = if code & 0x80 != 0 { magnitude } else { -magnitude };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Character signal (as sent) and value at the decoder's output in 14 bits, positive half,
    /// first step of each segment and the ends: ITU-T G.711 table 2a.
    const MULAW_VALUES: [(u8, i16); 11] = [
        (0b1000_0000, 8031),
        (0b1000_1111, 4191),
        (0b1001_1111, 2079),
        (0b1010_1111, 1023),
        (0b1011_1111, 495),
        (0b1100_1111, 231),
        (0b1101_1111, 99),
        (0b1110_1111, 33),
        (0b1111_1101, 4),
        (0b1111_1110, 2),
        (0b1111_1111, 0),
    ];

    /// Character signal before the inversion of even bits and value at the decoder's output in 13
    /// bits: ITU-T G.711 table 1a.
    const ALAW_VALUES: [(u8, i16); 10] = [
        (0b1111_1111, 4032),
        (0b1111_0000, 2112),
        (0b1110_0000, 1056),
        (0b1101_0000, 528),
        (0b1100_0000, 264),
        (0b1011_0000, 132),
        (0b1010_0000, 66),
        (0b1001_0000, 33),
        (0b1000_0001, 3),
        (0b1000_0000, 1),
    ];

    #[test]
    fn mulaw_decodes_to_the_values_of_the_recommendation() {
        for (byte, value) in MULAW_VALUES {
            assert_eq!(decode_mulaw(byte), value * 4, "{byte:#010b}");
            assert_eq!(decode_mulaw(byte & 0x7F), -value * 4, "{byte:#010b}, negative");
        }
    }

    #[test]
    fn alaw_decodes_to_the_values_of_the_recommendation() {
        for (code, value) in ALAW_VALUES {
            assert_eq!(decode_alaw(code ^ 0x55), value * 8, "{code:#010b}");
            assert_eq!(decode_alaw((code & 0x7F) ^ 0x55), -value * 8, "{code:#010b}, negative");
        }
    }

    #[test]
    fn silence_is_sent_as_the_idle_codes() {
        assert_eq!(encode_mulaw(0), 0xFF);
        assert_eq!(encode_alaw(0), 0xD5);
    }

    #[test]
    fn every_code_survives_a_round_trip() {
        for byte in 0..=u8::MAX {
            // Mu-law has two zeros, of which the positive one is sent.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(encode_mulaw(decode_mulaw(byte)), expected);
            assert_eq!(encode_alaw(decode_alaw(byte)), byte);
        }
    }

    /// Decision values that begin a segment, with the code of the step above: ITU-T G.711 tables
    /// 2a and 1a.
    #[test]
    fn segments_begin_at_the_decision_values_of_the_recommendation() {
        let mulaw = [(31, 0xEF), (95, 0xDF), (223, 0xCF), (479, 0xBF), (991, 0xAF), (2015, 0x9F)];
        for (decision, code) in mulaw.into_iter().chain([(4063, 0x8F)]) {
            assert_eq!(encode_mulaw(decision * 4), code);
            assert_eq!(encode_mulaw(decision * 4 - 1), code + 1);
        }
        let alaw = [(32, 0x90), (64, 0xA0), (128, 0xB0), (256, 0xC0), (512, 0xD0), (1024, 0xE0)];
        for (decision, code) in alaw.into_iter().chain([(2048, 0xF0)]) {
            assert_eq!(encode_alaw(decision * 8) ^ 0x55, code);
            assert_eq!(encode_alaw(decision * 8 - 1) ^ 0x55, code - 1);
        }
    }

    #[test]
    fn a_decoded_sample_is_within_half_a_step_of_what_was_said() {
        for (encode, decode, loudest) in [
            (encode_mulaw as fn(i16) -> u8, decode_mulaw as fn(u8) -> i16, 32_635),
            (encode_alaw as fn(i16) -> u8, decode_alaw as fn(u8) -> i16, 32_767),
        ] {
            let mut values: Vec<i16> = (0..=u8::MAX).map(decode).collect();
            values.sort_unstable();
            values.dedup();
            for sample in -loudest..=loudest {
                let decoded = decode(encode(sample));
                let at = values.binary_search(&decoded).unwrap();
                let step = [at.checked_sub(1), Some(at + 1)]
                    .into_iter()
                    .flatten()
                    .filter_map(|i| values.get(i))
                    .map(|&other| other.abs_diff(decoded))
                    .max();
                assert!(Some(sample.abs_diff(decoded) * 2) <= step, "{sample} came back {decoded}");
            }
        }
    }

    #[test]
    fn louder_never_decodes_as_quieter() {
        for sample in i16::MIN..i16::MAX {
            let (here, above) = (sample, sample + 1);
            assert!(decode_mulaw(encode_mulaw(here)) <= decode_mulaw(encode_mulaw(above)));
            assert!(decode_alaw(encode_alaw(here)) <= decode_alaw(encode_alaw(above)));
        }
    }

    #[test]
    fn both_signs_are_treated_alike() {
        for sample in 1..=i16::MAX {
            assert_eq!(decode_mulaw(encode_mulaw(-sample)), -decode_mulaw(encode_mulaw(sample)));
            assert_eq!(decode_alaw(encode_alaw(-sample)), -decode_alaw(encode_alaw(sample)));
        }
    }
}
