//! A network of IP addresses, as the configuration names it.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A range of addresses: an address and a prefix length, such as `10.0.0.0/8` or `2001:db8::/32`. An address alone is a network of
/// one.
///
/// # Examples
///
/// ```
/// use herd_sessions::Network;
///
/// let office: Network = "192.0.2.0/24".parse()?;
/// assert!(office.contains([192, 0, 2, 7].into()) && !office.contains([192, 0, 3, 7].into()));
/// # Ok::<(), herd_sessions::NotANetwork>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Returns whether an address is in the network. An IPv4 address in the notation of IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| NotANetwork(text.chars().take(QUOTED_CHARS_MAX).collect()))
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// The text names no network. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no network; write an address and a prefix length, such as \"10.0.0.0/8\" or \"2001:db8::/32\"")]
pub struct NotANetwork(String);

/// Characters of a text that an error quotes. A network is shorter.
const QUOTED_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_contains_the_addresses_of_its_prefix() {
        let contains =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.1.2.3/8", "10.200.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "::ffff:192.0.2.1"), "IPv4 by way of an IPv6 socket");
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:5::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn network_that_is_none_is_refused_with_what_to_write() {
        for text in ["10.0.0.0/33", "localhost", "10.0.0.0/8/8", ""] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{text}\" is no network; write ")), "{error}");
        }
    }
}
