//! The TCP connection under a websocket.

use std::{fmt, io};

use tokio::net::{TcpStream, lookup_host};
use url::{Host, Url};

use super::guard;
use crate::Net;

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum DialError {
    Io(io::Error),
    /// The address may not be reached; the text says why and what would allow it.
    Private(String),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Private(reason) => f.write_str(reason),
        }
    }
}

/// Connects to the first address of a URL's host that answers. The caller bounds the wait.
///
/// A name is resolved once, here: the addresses that were looked at are those that are connected
/// to, and a name that leads elsewhere the next time leads nowhere.
pub(super) async fn dial(net: &Net, url: &Url) -> Result<TcpStream, DialError> {
    let port = url.port_or_known_default().unwrap_or_default();
    let no_host = || io::Error::new(io::ErrorKind::InvalidInput, "the address has no host");
    let addresses = match url.host().ok_or_else(no_host).map_err(DialError::Io)? {
        Host::Ipv4(ip) => vec![(ip, port).into()],
        Host::Ipv6(ip) => vec![(ip, port).into()],
        Host::Domain(name) => lookup_host((name, port)).await.map_err(DialError::Io)?.collect(),
    };
    let host = url.host_str().unwrap_or_default();
    let allowed = guard::allowed(host, addresses.into_iter(), net.may_reach_private())
        .map_err(DialError::Private)?;
    let stream = TcpStream::connect(&allowed[..]).await.map_err(DialError::Io)?;
    // Audio is sent in small pieces that must not wait for one another.
    stream.set_nodelay(true).map_err(DialError::Io)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn net(allow_private: bool) -> Net {
        Net::new(Duration::from_secs(5), "offhook".into(), allow_private).unwrap()
    }

    #[tokio::test]
    async fn a_name_out_of_a_document_that_leads_inside_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = Url::parse(&format!("ws://localhost:{port}/x")).unwrap();

        let guarded = net(false).for_document(&url).unwrap();
        let Err(DialError::Private(reason)) = dial(&guarded, &url).await else {
            panic!("it was connected to");
        };
        assert!(reason.contains("`localhost`") && reason.contains(guard::ADVICE), "{reason}");

        let allowed = net(true).for_document(&url).unwrap();
        assert!(dial(&allowed, &url).await.is_ok());
        assert!(dial(&net(false), &url).await.is_ok(), "the operator's own address");
    }

    #[tokio::test]
    async fn an_address_written_out_is_looked_at_again_when_it_is_connected_to() {
        let url = Url::parse("ws://127.0.0.1:1/").unwrap();
        let guarded = Net { is_for_document: true, ..net(false) };
        assert!(matches!(dial(&guarded, &url).await, Err(DialError::Private(_))));
    }
}
