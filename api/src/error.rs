//! Errors as the API answers them.

use serde::Serialize;

/// An error answer: the body's three fields, and the HTTP status to send it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{status_code} {error}: {}", message.joined())]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    pub message: ErrorText,
    /// The status's name, for example `Bad Request`.
    pub error: &'static str,
    pub status_code: u16,
}

/// Validation errors are a list, all others one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ErrorText {
    One(String),
    Many(Vec<String>),
}

impl ErrorText {
    fn joined(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Many(texts) => texts.join("; "),
        }
    }
}

impl ApiError {
    /// The body or the query breaks the contract: one message for each offending path.
    pub fn bad_request(messages: Vec<String>) -> Self {
        Self { message: ErrorText::Many(messages), error: "Bad Request", status_code: 400 }
    }

    /// A request that cannot be read at all (broken JSON, for example).
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::one(400, "Bad Request", message)
    }

    pub fn unauthorized() -> Self {
        Self::one(
            401,
            "Unauthorized",
            "invalid or missing API key, expected the header `Authorization: Bearer KEY`",
        )
    }

    /// Nothing of that kind has this id, or it belongs to somebody else.
    pub fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::one(404, "Not Found", format!("{kind} {id} does not exist"))
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::one(409, "Conflict", message)
    }

    pub fn payload_too_large(bytes_max: usize) -> Self {
        Self::one(
            413,
            "Payload Too Large",
            format!("request body is too large, expected at most {bytes_max} bytes"),
        )
    }

    pub fn unsupported_media_type() -> Self {
        Self::one(
            415,
            "Unsupported Media Type",
            "expected a body with the header `Content-Type: application/json`",
        )
    }

    /// More requests than are served; the caller should come again.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::one(429, "Too Many Requests", message)
    }

    /// A defect or a broken part of the server; the details are in its log.
    pub fn internal() -> Self {
        Self::one(500, "Internal Server Error", "the server could not do this, its log says why")
    }

    /// The server cannot do this at present (it is draining, or its store does not answer).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::one(503, "Service Unavailable", message)
    }

    fn one(status_code: u16, error: &'static str, message: impl Into<String>) -> Self {
        Self { message: ErrorText::One(message.into()), error, status_code }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_validation_error_lists_its_messages() {
        let error = ApiError::bad_request(vec!["name must be a string".into()]);
        expect![[
            r#"{"message":["name must be a string"],"error":"Bad Request","statusCode":400}"#
        ]]
        .assert_eq(&serde_json::to_string(&error).unwrap());
        expect!["400 Bad Request: name must be a string"].assert_eq(&error.to_string());
    }

    #[test]
    fn every_other_error_is_one_sentence() {
        let error = ApiError::not_found("assistant", "a1");
        expect![[
            r#"{"message":"assistant a1 does not exist","error":"Not Found","statusCode":404}"#
        ]]
        .assert_eq(&serde_json::to_string(&error).unwrap());
    }
}
