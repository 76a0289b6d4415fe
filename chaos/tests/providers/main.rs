//! Our providers against their fakes: what each understands, and what of a document reaches it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod anthropic;
mod cartesia;
mod custom;
mod deepgram;
mod elevenlabs;
mod openai;
mod proxy;
mod support;
