//! MiniMax (platform.minimax.io/docs: Text generation, OpenAI-compatible API, Error codes).

use offhook_core::FailureClass;

use super::{
    Provider,
    errors::Reasons,
    openai::{self, COMPATIBLE, COMPATIBLE_VENDOR, Family, Vendor},
};
use crate::probe::{BEARER, FreeResource, Probe};

pub(super) const VENDOR: Vendor = Vendor {
    name: "minimax",
    address: "https://api.minimax.io/v1",
    key_variable: "MINIMAX_API_KEY",
    families: FAMILIES,
    reasons: REASONS,
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

/// The models of the second generation think whatever they are told; their thoughts are kept out
/// of the text.
const THINKING: Family = Family {
    token_limit: "max_completion_tokens",
    thinks: true,
    extra: &[("reasoning_split", "true")],
    temperatures: (0.01, 1.0),
    ..COMPATIBLE
};

const FAMILIES: &[Family] = &[
    Family {
        prefix: "MiniMax-M3",
        thinks: false,
        extra: &[("reasoning_split", "true"), ("thinking", r#"{"type":"disabled"}"#)],
        ..THINKING
    },
    THINKING,
];

/// Codes of `base_resp`, most of which come with a status of 200.
const REASONS: Reasons = &[
    ("1000", FailureClass::Unavailable),
    ("1001", FailureClass::Timeout),
    ("1002", FailureClass::RateLimited { retry_after: None }),
    ("1004", FailureClass::Unauthorized),
    ("1008", FailureClass::Quota),
    ("1013", FailureClass::Unavailable),
    ("1024", FailureClass::Unavailable),
    ("1026", FailureClass::BadRequest),
    ("1027", FailureClass::BadRequest),
    ("1033", FailureClass::Unavailable),
    ("1039", FailureClass::RateLimited { retry_after: None }),
    ("2013", FailureClass::BadRequest),
    ("2049", FailureClass::Unauthorized),
];
