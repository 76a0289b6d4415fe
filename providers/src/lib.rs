//! Speech to text, language models and text to speech: one file per provider.
//!
//! A provider knows its wire protocol and nothing of calls, actors or configuration files. To add
//! one, write `stt/yours.rs` (or `llm/`, `tts/`) and name it in the `providers!` list beside it.

pub mod dead;
mod error;
pub mod llm;
mod net;
pub mod probe;
mod registry;
pub mod stt;
pub mod tts;
pub mod worker;

pub use error::ProviderError;
pub use net::{Access, Net, guard, tls};
pub use registry::BuildError;
