//! G.711 mu-law.

pub fn decode_mulaw(_byte: u8) -> i16 {
    unimplemented!()
}

pub fn encode_mulaw(_sample: i16) -> u8 {
    unimplemented!()
}
