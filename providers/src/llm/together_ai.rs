//! Together AI (docs.together.ai: Chat completions, Reasoning).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "together-ai",
    address: "https://api.together.xyz/v1",
    key_variable: "TOGETHER_API_KEY",
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

/// Models that think unless they are told not to.
const HYBRID: Family = Family { extra: &[("reasoning", r#"{"enabled":false}"#)], ..COMPATIBLE };

const FAMILIES: &[Family] = &[
    Family { prefix: "deepseek-ai/DeepSeek-R1", thinks: true, ..COMPATIBLE },
    Family { prefix: "openai/gpt-oss", lowest_effort: Some("low"), ..COMPATIBLE },
    Family { prefix: "deepseek-ai/DeepSeek-V3.1", ..HYBRID },
    Family { prefix: "deepseek-ai/DeepSeek-V4", ..HYBRID },
    Family { prefix: "moonshotai/Kimi-K2.5", ..HYBRID },
    Family { prefix: "moonshotai/Kimi-K2.6", ..HYBRID },
    Family { prefix: "Qwen/Qwen3.5", ..HYBRID },
    Family { prefix: "zai-org/GLM", ..HYBRID },
    COMPATIBLE,
];
