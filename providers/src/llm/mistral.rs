//! Mistral (docs.mistral.ai: Chat completions, Function calling).

use super::{
    Provider,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Prefill, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "mistral",
    address: "https://api.mistral.ai/v1",
    key_variable: "MISTRAL_API_KEY",
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

/// Which message may follow which is checked: an instruction stands at the beginning or in the
/// words of the user.
const CHAT: Family = Family {
    counts_unasked: true,
    short_ids: true,
    strict_order: true,
    one_system_message: true,
    prefill: Prefill::Prefix,
    ..COMPATIBLE
};

const FAMILIES: &[Family] = &[
    // These think, and nothing keeps them from it.
    Family { prefix: "magistral", thinks: true, prefill: Prefill::No, ..CHAT },
    CHAT,
];
