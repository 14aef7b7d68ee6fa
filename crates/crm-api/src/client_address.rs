//! Who is at the other end of a connection, with proxies in between.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose `X-Forwarded-For` is believed: addresses and networks (`10.0.0.0/8`), separated
/// by commas. Nobody else's is: anybody can send such a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// An address, and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither an address nor a network such as 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| wrong())?;
        if bits > bits_max {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = u32::from(network) ^ u32::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = u128::from(network) ^ u128::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl TrustedProxies {
    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// What tells one client from another: an address, or of version 6, where everybody has many, the
/// network of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Whom a request comes from: the last one on its way that is no trusted proxy.
    pub(crate) fn of(request: &HttpRequest, trusted: &TrustedProxies) -> Self {
        let unknown = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let peer = request.peer_addr().map_or(unknown, |peer| peer.ip());
        let forwarded: Vec<&str> = request
            .headers()
            .get_all(FORWARDED_FOR)
            .filter_map(|value| value.to_str().ok())
            .collect();
        Self(behind(peer.to_canonical(), &forwarded.join(","), trusted))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                write!(f, "{}/64", Ipv6Addr::from(network))
            }
        }
    }
}

/// Each proxy appends whom it was asked by; what stands before the first untrusted one, that one may
/// have made up.
fn behind(peer: IpAddr, forwarded: &str, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer;
    for hop in forwarded.rsplit(',').map(str::trim) {
        if !trusted.contains(client) {
            break;
        }
        let with_port = || hop.parse::<SocketAddr>().map(|hop| hop.ip());
        let Ok(address) = hop.parse::<IpAddr>().or_else(|_| with_port()) else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_read_and_anything_else_is_refused() {
        assert_eq!(proxies(""), TrustedProxies::default());
        let trusted = proxies("10.0.0.0/8, 192.0.2.1,2001:db8::/32");
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(
                trusted.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        assert!(proxies("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        for text in ["10.0.0.0/33", "proxy", "10.0.0.0/", "10.0.0.0/-1", "::/129"] {
            let refused = text.parse::<TrustedProxies>().unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
    }

    #[test]
    fn only_what_trusted_proxies_have_appended_counts() {
        let of = |peer: &str, forwarded: &str| {
            let trusted = proxies("10.0.0.0/8");
            behind(peer.parse().unwrap(), forwarded, &trusted).to_string()
        };
        for (peer, forwarded, client) in [
            ("198.51.100.7", "", "198.51.100.7"),
            ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "192.0.2.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(of(peer, forwarded), client, "{peer} {forwarded}");
        }
    }

    #[test]
    fn a_household_with_many_addresses_is_one_client() {
        let client = |text: &str| Client(text.parse().unwrap()).to_string();
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(client("203.0.113.9"), "203.0.113.9");
    }
}
