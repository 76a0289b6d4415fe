use std::time::Duration;

use offhook_core::FailureClass;

/// Wait before a carrier is asked once more that was busy, where it does not say how long.
const BUSY_WAIT: Duration = Duration::from_millis(500);

/// The longest that it may say; somebody waits for what is asked.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(3);

/// A carrier's failure, classified where it arose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({})", detail, class.name())]
pub struct CarrierError {
    pub class: FailureClass,
    /// The status of its answer, when there was one.
    pub status: Option<u16>,
    /// The carrier's own code, as `20404` or `90018`.
    pub code: Option<String>,
    /// Whether the carrier may have done what it was asked, although it did not say so: another
    /// attempt would then do it twice.
    pub may_have_happened: bool,
    /// What was tried, on what, and what was answered; never a number, never a key.
    pub detail: String,
}

impl CarrierError {
    /// A request that was not made, or was refused.
    pub fn refused(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, status: None, code: None, may_have_happened: false, detail: detail.into() }
    }

    /// Whether what cannot do harm twice is worth asking for again.
    pub fn may_pass(&self) -> bool {
        match self.class {
            FailureClass::RateLimited { .. }
            | FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol => true,
            FailureClass::Unauthorized
            | FailureClass::Quota
            | FailureClass::BadRequest
            | FailureClass::Unsupported => false,
        }
    }

    /// When a carrier that did nothing is worth asking once more for what must not be done twice.
    pub fn pause(&self) -> Option<Duration> {
        if self.may_have_happened {
            return None;
        }
        match self.class {
            FailureClass::RateLimited { retry_after } => {
                Some(retry_after.unwrap_or(BUSY_WAIT)).filter(|wait| *wait <= BUSY_WAIT_MAX)
            }
            FailureClass::Unavailable => Some(BUSY_WAIT),
            FailureClass::Unauthorized
            | FailureClass::Quota
            | FailureClass::BadRequest
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol
            | FailureClass::Unsupported => None,
        }
    }

    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_is_asked_once_more_when_it_did_nothing_and_says_soon() {
        let busy = |wait| {
            let retry_after = Some(Duration::from_secs(wait));
            CarrierError::refused(FailureClass::RateLimited { retry_after }, "")
        };
        assert_eq!(busy(2).pause(), Some(Duration::from_secs(2)));
        assert_eq!(busy(30).pause(), None);
        let broken = CarrierError::refused(FailureClass::Unavailable, "");
        assert_eq!(broken.pause(), Some(BUSY_WAIT));
        assert_eq!(CarrierError { may_have_happened: true, ..broken }.pause(), None);
        assert_eq!(CarrierError::refused(FailureClass::BadRequest, "").pause(), None);
    }
}
