//! Addresses that documents name must not reach what only the server can reach: private, loopback
//! and link-local ones, whether they are written out or come from a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What would make a private address acceptable.
pub const ADVICE: &str = "set webhooks.allow_private_addresses = true to allow such";

/// The private address that a URL has written out in it, if it has.
pub fn private_literal(url: &Url) -> Option<String> {
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(_) => return None,
    };
    is_private(ip).then(|| ip.to_string())
}

/// Resolves names, and leaves out addresses that documents must not reach.
pub struct GuardedDns {
    pub allow_private: bool,
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let allowed = allowed(host, found, allow_private)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Those addresses of a name that may be reached.
///
/// # Errors
///
/// Says that there is none, and what would allow the others.
pub(super) fn allowed(
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, String> {
    let allowed: Vec<SocketAddr> =
        found.filter(|address| allow_private || !is_private(address.ip())).collect();
    if allowed.is_empty() {
        return Err(format!("`{host}` is a private address; {ADVICE}"));
    }
    Ok(allowed)
}

/// Whether an address is not one of the public internet (RFC 6890 and its updates).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_private_v4(mapped),
            None => is_private_v6(ip),
        },
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        // Carrier-grade NAT (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) reach IPv4; documentation (RFC 3849).
        || (segments[0] == 0x64 && segments[1] == 0xff9b)
        || segments[0] == 0x2002
        || (segments[0] == 0x2001 && segments[1] == 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_with_addresses_on_both_sides_only_those_outside_are_left() {
        let found =
            || ["10.0.0.1:443", "8.8.8.8:443", "[::1]:443"].map(|a| a.parse().unwrap()).into_iter();
        assert_eq!(allowed("a.example", found(), false).unwrap(), ["8.8.8.8:443".parse().unwrap()]);
        assert_eq!(allowed("a.example", found(), true).unwrap().len(), 3);
        let refused = allowed("a.example", found().take(1), false).unwrap_err();
        assert!(refused.contains("`a.example`") && refused.contains(ADVICE), "{refused}");
    }

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(is_private(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1"] {
            assert!(!is_private(outside.parse().unwrap()), "{outside}");
        }
    }
}
