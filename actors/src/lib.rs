//! The actors of a call: thin shells around `core` and `media`.
//!
//! An actor receives, asks the core, carries out. None of them waits in a handler; none of them
//! moves audio through a mailbox; what each must not lose when it dies lies in a slot of
//! [`CallContext`] and in its [`Port`].

mod backdrop;
pub mod call;
pub mod campaign;
mod child;
mod clock;
mod context;
pub mod egress;
mod endpointing;
mod leaf;
mod leg;
mod leg_audio;
pub mod listen;
pub mod model;
mod news;
pub mod outbox;
mod phone_line;
mod port;
pub mod probe;
pub mod provider_health;
mod publish;
pub mod recorder;
mod reopen;
mod retry;
mod revival;
mod roster;
mod short_answer;
mod signature;
pub mod tool_executor;
pub mod transcriber;
mod transfer;
pub mod transport;
mod turns;
pub mod vad;
mod vault;
pub mod voice;
mod voice_cache;
mod voicemail;

pub use child::{CallChild, Pulse, Role, Running, Spawner};
pub use clock::CallClock;
pub use context::{CallContext, CallSpec, NodeParts, Ports, RecordingPlan};
pub use leaf::Leaf;
pub use leg::{Incoming, LegSlot, LegSocket, Outgoing};
pub use leg_audio::LegAudio;
pub use news::{News, NewsReader};
pub use outbox::{Outbox, OutboxActor};
pub use phone_line::{CallCount, PhoneLine, PhoneLineOptions, end_at_carrier, insist, refusal_of};
pub use port::{Port, Signal};
pub use provider_health::{HealthKey, ProviderHealth};
pub use revival::{CallKeys, Revival};
pub use roster::{Roster, Staged, Stages};
pub use transfer::HANG_UP_HANDED_OVER;
pub use turns::{TurnLog, TurnTimes};
pub use vault::{Vault, VaultError, scope as secrets_of};
pub use voice_cache::VoiceCache;

/// Every actor of a call, in the order they are started: who is listened to before who speaks.
pub const ROLES: &[Spawner] = &[
    Spawner::of::<call::CallActor>(),
    Spawner::of::<recorder::RecorderActor>(),
    Spawner::of::<vad::VadActor>(),
    Spawner::of::<transcriber::TranscriberActor>(),
    Spawner::of::<model::ModelActor>(),
    Spawner::of::<voice::VoiceActor>(),
    Spawner::of::<tool_executor::ToolExecutorActor>(),
    Spawner::of::<transport::TransportActor>(),
];
