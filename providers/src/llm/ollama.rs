//! Ollama (docs.ollama.com: OpenAI compatibility, Thinking), on a server of one's own.

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "ollama",
    address: "http://localhost:11434/v1",
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

const FAMILIES: &[Family] = &[
    // It thinks whatever it is told; this is as little as it can.
    Family { prefix: "gpt-oss", lowest_effort: Some("low"), ..COMPATIBLE },
    Family { lowest_effort: Some("none"), ..COMPATIBLE },
];
