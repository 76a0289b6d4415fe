//! Cuts a stream of text into pieces that a voice can speak.

#[derive(Clone, Debug, Default)]
pub struct TextChunker {}
