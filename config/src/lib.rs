//! The settings of a server: what there is, what it defaults to, and where a value came from.
//!
//! Values come, each over the one before, from the defaults, the customary variables of providers
//! and carriers (`DEEPGRAM_API_KEY` ...), a TOML file, variables `OFFHOOK_<SECTION>__<KEY>`, and flags. A key that
//! nobody knows is an error wherever it comes from.
//!
//! Every setting is declared once, in `settings.rs` or `carriers.rs`; its struct field, default, check, and entry in
//! `default.toml` follow from that.

mod carriers;
mod document;
mod error;
mod form;
mod layers;
mod path;
mod prices;
mod settings;

pub use carriers::{Carriers, TelnyxSettings, TwilioSettings, VonageSettings};
pub use document::{SettingDoc, describe, render_defaults};
pub use error::{ConfigError, Problem};
pub use form::LogFormat;
pub use prices::{ModelPrice, Prices, TranscriberPrice, VoicePrice};
pub use settings::{Auth, Calls, Costs, Provider, Server, Settings, Store, Webhooks};
