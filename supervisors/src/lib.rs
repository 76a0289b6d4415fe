//! Who starts whom, and who is restarted.
//!
//! ```text
//! RootSupervisor
//! ├─ OutboxActor
//! ├─ ProberActor
//! ├─ CampaignsSupervisor
//! │  └─ CampaignActor (one per campaign that is not over)
//! ├─ ScheduleActor
//! └─ CallsSupervisor
//!    └─ CallSupervisor (one per call)
//!       └─ the actors of `offhook_actors::ROLES`
//! ```
//!
//! There is no one-for-all: a dead transcriber does not take the recorder along. A supervisor waits
//! for no socket and no peer. [`Node`] is the front door to all of it.

mod access;
mod call;
mod calls;
mod campaigns;
mod costs;
mod fallback;
mod finish;
mod node;
pub mod numbers;
pub mod phone;
mod plan;
mod prober;
mod recover;
mod resumption;
mod root;
mod schedule;
mod slots;

pub use call::Fault;
pub use campaigns::{Added, CONTACTS_MAX, CampaignError, Campaigns, Dialer};
pub use node::{Admission, AttachError, Node, NodeError, Prepared, StartCall, Started};
pub use resumption::Resumption;
pub use schedule::{Caller, EndUndialled, Held, Schedule, ScheduledCall, TurnOutcome};
pub use slots::{Lease, NoSlot, SlotLimits, Slots};
