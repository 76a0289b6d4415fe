use offhook_core::FailureClass;

/// A provider's failure, classified where it arose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({})", detail, class.name())]
pub struct ProviderError {
    pub class: FailureClass,
    /// What was tried, on what, and what was answered; never what a caller said, never a key.
    pub detail: String,
}

impl ProviderError {
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }
}
