//! Audio of a call, with no I/O and no clock.

mod backdrop;
mod beep;
mod convert;
mod denoise;
mod dtmf;
mod format;
pub mod g711;
mod playout;
mod resample;
mod ring;
mod vad;
mod wav;

pub use backdrop::{Backdrop, hold_music, hold_of_wav, loop_of_wav, office};
pub use beep::Beep;
pub use convert::Converter;
pub use denoise::Denoise;
pub use format::{AudioFormat, Encoding};
pub use playout::{Cleared, Hearing, Notice, Playout, PlayoutAction, PlayoutOptions};
pub use resample::Resampler;
pub use ring::{AudioRing, COMMIT_GRACE, RingRead};
pub use vad::{Vad, VadEdge, VadOptions};
pub use wav::{StereoWav, mono_of, samples_of_wav};
