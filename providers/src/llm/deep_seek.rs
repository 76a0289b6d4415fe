//! DeepSeek (api-docs.deepseek.com: Chat completion, Thinking mode).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "deep-seek",
    address: "https://api.deepseek.com/v1",
    key_variable: "DEEPSEEK_API_KEY",
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

const NO_THOUGHTS: &[(&str, &str)] = &[("thinking", r#"{"type":"disabled"}"#)];

const FAMILIES: &[Family] = &[
    // Whoever names the reasoner wants thoughts. Not together with tools: a call has to come back
    // with the thoughts that led to it, or the request is refused, and the conversation of a call
    // does not keep them.
    Family {
        prefix: "deepseek-reasoner",
        thinks: true,
        extra_with_tools: NO_THOUGHTS,
        calls_need_content: true,
        ..COMPATIBLE
    },
    Family { extra: NO_THOUGHTS, calls_need_content: true, ..COMPATIBLE },
];
