//! The documents of the HTTP API: typed views over the JSON that clients sent.
//!
//! A stored document is what its client sent, plus the server's fields. Nothing here changes its
//! meaning: views read it, builders write new documents (a call, its artifacts, a server message).

pub mod artifact;
pub mod assistant;
pub mod audio_format;
pub mod call;
pub mod campaign;
pub mod contract;
pub mod control;
pub mod cost;
pub mod credential;
mod destination;
pub mod envelope;
mod error;
mod fillers;
mod hooks;
mod lenient;
mod message_filter;
mod page;
pub mod patch;
pub mod performance;
mod phone_number;
mod phone_zones;
pub mod plans;
mod query;
mod resolve;
pub mod secrets;
mod server;
mod server_auth;
pub mod server_fields;
mod sound;
mod start_speaking;
pub mod template;
pub mod time;
pub mod tool;
pub mod tool_response;
pub mod transfer_plan;
mod voice_text;
mod voicemail;

pub use assistant::{AssistantView, Defaults, StageConfig};
pub use call::CallDocument;
pub use credential::{Credential, Credentials};
pub use destination::{Destination, Party};
pub use error::{ApiError, ErrorText};
pub use lenient::concurrency_limit;
pub use message_filter::MessageFilter;
pub use page::PageQuery;
pub use phone_number::{NumberProvider, PhoneNumberView, RingingAction, RingingHook};
pub use phone_zones::phone_zones;
pub use query::{Bounds, CALL_FILTERS, ListQuery};
pub use resolve::{Resolved, resolve_assistant};
pub use server::{Backoff, BackoffKind, ServerTarget};
pub use server_auth::{HmacAlgorithm, HmacPlan, ServerAuth, SignatureEncoding};
pub use sound::{BackgroundSound, Sound};
pub use transfer_plan::{Briefing, FallbackPlan, SummaryPlan, TransferPlan};
pub use voice_text::VoiceText;
