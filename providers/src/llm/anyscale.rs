//! Anyscale: models deployed on one's own account, each at an address of its own. The public
//! endpoints that had one address for all are gone since 2024.

use super::{
    Provider,
    openai::{self, COMPATIBLE_VENDOR, Vendor},
};

pub(super) const VENDOR: Vendor = Vendor {
    name: "anyscale",
    address: "https://localhost/v1",
    key_variable: "ANYSCALE_API_KEY",
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
