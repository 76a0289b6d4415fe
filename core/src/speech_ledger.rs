//! Which words of a speech were spoken, sent and heard.

/// The ledger of one speech.
#[derive(Clone, Debug, Default)]
pub struct SpeechLedger {}
