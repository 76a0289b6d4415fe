//! Whether a request really comes from the carrier whose name it bears.
//!
//! Checked before anything else happens to a request; what fails is answered with 403 and changes
//! nothing. Secrets are compared in constant time. Who checks gives the time: what is stale cannot
//! be told from a replay.

pub mod telnyx;
pub mod twilio;
pub mod vonage;

/// How far a signed time may be from ours: what Telnyx's own client allows.
///
/// Long enough for a carrier's retries and for clocks that are off, and past it a request that was
/// overheard is worth nothing.
pub const WINDOW_SECONDS: i64 = 300;

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the request has no `{0}` header")]
    Missing(&'static str),
    #[error("the `{0}` header cannot be read")]
    Malformed(&'static str),
    #[error("the request is signed with a key or an algorithm that is not set up here")]
    UnknownKey,
    #[error("the request was signed {0} s from now, expected {WINDOW_SECONDS} s at most")]
    Stale(i64),
    #[error("the body is not the one that was signed")]
    Body,
    #[error("the signature does not fit: check the carrier's secret and server.public_url")]
    Mismatch,
}

fn check_time(signed_at: i64, now: i64) -> Result<(), SignatureError> {
    let apart = now.saturating_sub(signed_at).saturating_abs();
    if apart <= WINDOW_SECONDS { Ok(()) } else { Err(SignatureError::Stale(apart)) }
}

/// The SHA-256 of a body, in lower-case hex.
fn sha256_hex(body: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Equality in a time that depends on the lengths alone.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}
