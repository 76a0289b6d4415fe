//! Inflection AI, whose models are reached at the address that it gives to each customer.

use super::{
    Provider,
    openai::{self, COMPATIBLE_VENDOR, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "inflection-ai",
    address: "https://localhost/v1",
    key_variable: "INFLECTION_API_KEY",
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
