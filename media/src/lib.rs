//! Audio of a call, with no I/O and no clock.

mod beep;
mod convert;
mod dtmf;
mod format;
pub mod g711;
mod playout;
mod resample;
mod ring;
mod vad;
mod wav;

pub use beep::Beep;
pub use convert::Converter;
pub use format::{AudioFormat, Encoding};
pub use playout::{Cleared, Hearing, Notice, Playout, PlayoutAction, PlayoutOptions};
pub use resample::Resampler;
pub use ring::{AudioRing, COMMIT_GRACE, RingRead};
pub use vad::{Vad, VadEdge, VadOptions};
pub use wav::{StereoWav, mono_of};
