//! OpenRouter (openrouter.ai/docs: API reference, Reasoning tokens, Errors).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};
use crate::probe::{BEARER, FreeResource, Probe};

pub(super) const VENDOR: Vendor = Vendor {
    name: "openrouter",
    address: "https://openrouter.ai/api/v1",
    key_variable: "OPENROUTER_API_KEY",
    families: FAMILIES,
    cost_field: "cost",
    ..COMPATIBLE_VENDOR
};

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    // Its list of models is open to everybody.
    probe: Probe::Resource(FreeResource { address: VENDOR.address, path: &["key"], ..BEARER }),
    specimen: "",
    build: |options, access, net| openai::build_as(&VENDOR, options, access, net),
};

/// Models that think unless they are told not to. One that cannot be told complains of it, and is
/// asked again without; one that does not think ignores it.
const ANY: Family = Family { extra: &[("reasoning", r#"{"enabled":false}"#)], ..COMPATIBLE };

/// Models that think whatever they are told.
const THINKING: Family = Family { thinks: true, ..COMPATIBLE };

const FAMILIES: &[Family] = &[
    Family { prefix: "openai/gpt-5", extra: LITTLE, ..THINKING },
    Family { prefix: "openai/gpt-oss", extra: LITTLE, ..THINKING },
    Family { prefix: "openai/o", ..THINKING },
    Family { prefix: "deepseek/deepseek-r1", ..THINKING },
    Family { prefix: "minimax/", ..THINKING },
    Family { prefix: "google/gemini-2.5-pro", one_system_message: true, ..THINKING },
    Family { prefix: "google/gemini-3", one_system_message: true, extra: LITTLE, ..THINKING },
    Family { prefix: "google/", one_system_message: true, ..ANY },
    ANY,
];

const LITTLE: &[(&str, &str)] = &[("reasoning", r#"{"effort":"low"}"#)];
