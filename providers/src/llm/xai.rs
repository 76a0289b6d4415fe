//! xAI (docs.x.ai: Chat completions, Reasoning).

use offhook_core::FailureClass;

use super::{
    Provider,
    errors::Reasons,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "xai",
    address: "https://api.x.ai/v1",
    key_variable: "XAI_API_KEY",
    families: FAMILIES,
    reasons: REASONS,
    ..COMPATIBLE_VENDOR
};

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    probe: openai::probe(&VENDOR),
    specimen: "",
    build: |options, access, net| openai::build_as(&VENDOR, options, access, net),
};

const CHAT: Family = Family { token_limit: "max_completion_tokens", ..COMPATIBLE };

const FAMILIES: &[Family] = &[
    Family { prefix: "grok-3-mini", lowest_effort: Some("low"), ..CHAT },
    Family { prefix: "grok-4.3", lowest_effort: Some("none"), ..CHAT },
    Family { prefix: "grok-4-fast-non-reasoning", ..CHAT },
    Family { prefix: "grok-4-1-fast-non-reasoning", ..CHAT },
    Family { prefix: "grok-4.20-non-reasoning", ..CHAT },
    Family { prefix: "grok-4.20-0309-non-reasoning", ..CHAT },
    // The others of the fourth generation think, and refuse to be told how much.
    Family { prefix: "grok-4", thinks: true, ..CHAT },
    CHAT,
];

const REASONS: Reasons = &[
    // A bad key is answered with 400.
    ("Incorrect API key", FailureClass::Unauthorized),
    ("used all available credits", FailureClass::Quota),
];
