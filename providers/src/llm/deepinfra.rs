//! DeepInfra (deepinfra.com/docs: OpenAI-compatible API).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};
use crate::probe::{BEARER, FreeResource, Probe};

pub(super) const VENDOR: Vendor = Vendor {
    name: "deepinfra",
    address: "https://api.deepinfra.com/v1/openai",
    key_variable: "DEEPINFRA_API_KEY",
    families: FAMILIES,
    cost_field: "estimated_cost",
    ..COMPATIBLE_VENDOR
};

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    // Nothing that is free shows whether a key is good.
    probe: Probe::Resource(FreeResource { address: VENDOR.address, checks_key: false, ..BEARER }),
    specimen: "",
    build: |options, access, net| openai::build_as(&VENDOR, options, access, net),
};

const FAMILIES: &[Family] = &[
    Family { prefix: "deepseek-ai/DeepSeek-R1", thinks: true, ..COMPATIBLE },
    Family { prefix: "openai/gpt-oss", lowest_effort: Some("low"), ..COMPATIBLE },
    COMPATIBLE,
];
