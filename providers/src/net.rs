use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// How a provider reaches the world: one per process, cheap to clone.
#[derive(Clone)]
pub struct Net {
    pub http: reqwest::Client,
    /// Longest wait for a TCP, TLS and websocket handshake together.
    pub connect_timeout: Duration,
    /// The program that hosts child processes of local providers: `offhook` itself.
    pub worker_program: PathBuf,
}

/// What one provider is reached with.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub api_key: Option<SecretString>,
    /// Replaces scheme, host and (if it has one) path prefix of the provider's own address.
    pub base_url: Option<String>,
}
