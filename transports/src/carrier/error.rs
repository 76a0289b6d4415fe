use offhook_core::FailureClass;

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

    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}
