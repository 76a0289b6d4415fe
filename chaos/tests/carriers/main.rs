//! The fake carriers against our own codecs, checks and clients.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;
mod telnyx;
mod twilio;
mod vonage;
