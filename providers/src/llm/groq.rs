//! Groq (console.groq.com/docs: API reference, Reasoning, Error codes).

use offhook_core::FailureClass;

use super::{
    Provider,
    errors::Reasons,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "groq",
    address: "https://api.groq.com/openai/v1",
    key_variable: "GROQ_API_KEY",
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
    Family { prefix: "openai/gpt-oss", lowest_effort: Some("low"), ..CHAT },
    Family { prefix: "qwen/qwen3", lowest_effort: Some("none"), ..CHAT },
    Family {
        prefix: "deepseek-r1",
        thinks: true,
        extra: &[("reasoning_format", r#""hidden""#)],
        ..CHAT
    },
    CHAT,
];

const REASONS: Reasons = &[
    // The model wrote a call that is none: another attempt may do better.
    ("tool_use_failed", FailureClass::Protocol),
    // The flex tier has no capacity.
    ("498", FailureClass::Unavailable),
];
