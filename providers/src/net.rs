//! How providers reach the world: one HTTP client, one TLS configuration, websockets driven by
//! [`session`], and the one place where an answer's status becomes a class of failure.

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::BuildError;

pub(crate) mod address;
pub(crate) mod custom_server;
mod dial;
pub mod guard;
pub(crate) mod http;
pub(crate) mod refusal;
pub(crate) mod session;
pub(crate) mod socket;
pub(crate) mod sse;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
mod warm;

/// What we call ourselves to providers.
pub(crate) const USER_AGENT: &str = concat!("offhook/", env!("CARGO_PKG_VERSION"));

/// Idle connections to one host that are kept for the next request: the model is asked once a
/// turn, so a handful serves many calls without a handshake in the caller's time.
const IDLE_CONNECTIONS_PER_HOST_MAX: usize = 64;

/// How long an idle connection is kept: longer than most turns, shorter than what load balancers
/// in front of providers allow (60 s is common).
const IDLE_CONNECTION_LIMIT: Duration = Duration::from_secs(50);

/// How a provider reaches the world: one per process, cheap to clone.
#[derive(Clone)]
pub struct Net {
    pub http: reqwest::Client,
    /// Longest wait for a TCP, TLS and websocket handshake together.
    pub connect_timeout: Duration,
    /// Reaches addresses that documents name, as far as they may be reached.
    documents_http: reqwest::Client,
    allow_private: bool,
    /// This one is for an address out of a document: websockets look where a name leads.
    is_for_document: bool,
    warmth: warm::Warmth,
    /// The program that hosts child processes of local providers: `offhook` itself.
    pub worker_program: PathBuf,
}

impl Net {
    /// Sets up the HTTP client: Mozilla's roots compiled in, no redirects (a key is not carried
    /// to where an answer points), no limit on a whole request (replies are streams; whoever
    /// reads one bounds its silences).
    /// `allow_private`: documents may name private addresses.
    pub fn new(
        connect_timeout: Duration,
        worker_program: PathBuf,
        allow_private: bool,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls::http_client())
                .connect_timeout(connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST_MAX)
                .pool_idle_timeout(IDLE_CONNECTION_LIMIT)
                .tcp_nodelay(true)
                .user_agent(USER_AGENT)
        };
        let guarded = builder().dns_resolver(Arc::new(guard::GuardedDns { allow_private }));
        Ok(Self {
            http: builder().build()?,
            // A proxy would resolve the names that are looked at here.
            documents_http: guarded.no_proxy().build()?,
            connect_timeout,
            allow_private,
            is_for_document: false,
            warmth: warm::Warmth::default(),
            worker_program,
        })
    }

    /// The same for an address that a document names.
    ///
    /// # Errors
    ///
    /// Says that the address is private, and what would allow it.
    pub fn for_document(&self, url: &Url) -> Result<Self, String> {
        match guard::private_literal(url) {
            Some(address) if !self.allow_private => {
                Err(format!("`{address}` is a private address; {}", guard::ADVICE))
            }
            Some(_) | None => Ok(Self {
                http: self.documents_http.clone(),
                is_for_document: true,
                ..self.clone()
            }),
        }
    }

    /// Whether a name may lead to a private address.
    fn may_reach_private(&self) -> bool {
        self.allow_private || !self.is_for_document
    }
}

/// What one provider is reached with.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub api_key: Option<SecretString>,
    /// Replaces scheme, host and (if it has one) path prefix of the provider's own address.
    pub base_url: Option<String>,
}

impl Access {
    /// Refuses to go without a key, unless to an address of one's own: that may need none.
    pub(crate) fn require_key(
        &self,
        kind: &'static str,
        provider: &str,
        variable: &'static str,
    ) -> Result<(), BuildError> {
        if self.api_key.is_some() || self.base_url.is_some() {
            return Ok(());
        }
        Err(BuildError::KeyMissing { kind, name: provider.into(), variable })
    }
}
