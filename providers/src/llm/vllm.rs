//! vLLM (docs.vllm.ai: OpenAI-compatible server, Reasoning outputs), on a server of one's own.

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Prefill, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "vllm",
    address: "http://localhost:8000/v1",
    families: FAMILIES,
    self_hosted: true,
    ..COMPATIBLE_VENDOR
};

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    probe: openai::probe(&VENDOR),
    specimen: "",
    build: |options, access, net| openai::build_as(&VENDOR, options, access, net),
};

/// Templates of models that do not think ignore it.
const NO_THOUGHTS: &[(&str, &str)] = &[("chat_template_kwargs", r#"{"enable_thinking":false}"#)];

const FAMILIES: &[Family] = &[
    Family { prefix: "openai/gpt-oss", lowest_effort: Some("low"), ..COMPATIBLE },
    Family { extra: NO_THOUGHTS, prefill: Prefill::Open, ..COMPATIBLE },
];
