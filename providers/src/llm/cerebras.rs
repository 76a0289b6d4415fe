//! Cerebras (inference-docs.cerebras.ai: Chat completions, Reasoning).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "cerebras",
    address: "https://api.cerebras.ai/v1",
    key_variable: "CEREBRAS_API_KEY",
    families: FAMILIES,
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
    Family { prefix: "gpt-oss", lowest_effort: Some("low"), ..CHAT },
    Family { prefix: "zai-glm", lowest_effort: Some("none"), ..CHAT },
    Family {
        prefix: "qwen-3-235b-a22b-thinking",
        thinks: true,
        extra: &[("reasoning_format", r#""hidden""#)],
        ..CHAT
    },
    CHAT,
];
