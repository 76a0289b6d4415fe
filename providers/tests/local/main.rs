//! The local voices and the local transcriber, with the real programs and libraries.
//!
//! What is not installed is skipped with a line that says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;
mod transcriber;
mod voice;
