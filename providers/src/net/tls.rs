//! The TLS of everything that goes out: ring, and Mozilla's roots compiled in.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The TLS of websockets, shared by all of them so that sessions are resumed.
pub(super) fn websocket_client() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| Arc::new(client())))
}

/// The TLS of HTTP requests: as for websockets, and offers HTTP/2.
pub fn http_client() -> ClientConfig {
    let mut config = client();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn client() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
