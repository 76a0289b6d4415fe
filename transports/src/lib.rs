//! The legs of a call: how each carrier's or client's messages are read and written.
//!
//! The legs are pure: a codec turns messages of the wire into what they mean and back, and
//! whoever owns the socket (the transport actor) carries it out. Only [`carrier`]'s clients ask
//! somebody else. The order for each message that
//! comes in is [`RateLimit::admit`], [`LegCodec::decode`], and for its audio
//! [`RateLimit::admit_audio`] and [`Timeline::on_audio`].
//!
//! Assumptions:
//! - The socket delivers whole messages, in order (websocket over TCP).
//! - It was told to read no message longer than [`SOCKET_MESSAGE_BYTES`]; if it met one, the answer
//!   is [`LegError::message_too_long`].
//! - Time is a [`std::time::Duration`] since the leg connected and never runs backwards.

pub mod carrier;
mod fuzz;
mod leg;
mod limits;
mod registry;
mod sequence;
pub mod signature;
mod strictness;
mod timeline;
mod wire_json;

pub use fuzz::{fuzz_decode, fuzz_stream};
pub use leg::{LegCodec, LegError, LegEvent, LegStart, REFUSED, Wire, close_code};
pub use limits::{ControlLimit, MAX_MESSAGE_BYTES, RateLimit, SOCKET_MESSAGE_BYTES};
pub use registry::BuildError;
pub use timeline::Timeline;

registry::transports! {
    websocket,
    twilio,
    telnyx,
    vonage,
}
