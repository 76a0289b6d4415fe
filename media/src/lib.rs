//! Audio of a call, with no I/O and no clock.

mod format;
pub mod g711;

pub use format::{AudioFormat, Encoding};
