//! Name or IP address of a host, with a port, as configurations name it; and its look-up.
//!
//! Owns the syntax, and one look-up at a time for each resolver. Connects to nothing. Bounds: bytes of a name, addresses of a name, and
//! the look-up that a resolver has in progress: the system may take half a minute for one, and a thread waits for it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Host: its DNS name or IP address. Not looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// Host and port.
///
/// ```
/// use herd_sys::HostPort;
///
/// let edge: HostPort = "edge-3.example.net:15000".parse()?;
/// assert_eq!((edge.host.as_str(), edge.port), ("edge-3.example.net", 15000));
/// assert_eq!("[2001:db8::1]:15000".parse::<HostPort>()?.to_string(), "[2001:db8::1]:15000");
/// assert!("edge 3:15000".parse::<HostPort>().is_err());
/// # Ok::<(), herd_sys::HostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// Name or IP address.
    pub host: Host,
    /// Port.
    pub port: u16,
}

/// Text that names no host. Its author is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a name nor an IP address.
    #[error("\"{}\" is no host; write its name or IP address, such as \"edge-1.example.net\" or \"192.0.2.1\"", .0.escape_debug())]
    NoHost(String),
    /// No port behind the host.
    #[error("\"{}\" has no port; write it as \"edge-1.example.net:16415\" or \"[2001:db8::1]:16415\"", .0.escape_debug())]
    NoPort(String),
}

impl Host {
    /// Returns the name or IP address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the IP address, if it is one and no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// Returns true if the host is this one by its very name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.ip().map_or_else(|| self.0.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }
}

impl HostPort {
    /// Looks the name up once. An IP address needs no look-up. Cancel safe.
    ///
    /// # Errors
    ///
    /// The name does not resolve, or not within `longest`.
    pub async fn resolve(&self, longest: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        Resolver::default().resolve(self, longest).await
    }
}

/// Look-ups of one name, one after the other.
///
/// A look-up that takes longer than its caller waits goes on, and the next call takes its result: a system that does not answer holds one
/// thread for each resolver.
#[derive(Debug, Default)]
pub struct Resolver {
    lookup: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

/// Failed look-up of a name.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The name does not resolve: it is wrong, unknown, or no name server can be reached.
    #[error("the name {name} does not resolve: {why}; see getent ahosts {name}")]
    Failed {
        /// The name.
        name: String,
        /// Reason of the system.
        why: String,
    },
    /// No answer yet. The next call goes on waiting for it.
    #[error(
        "the name {name} was not resolved within {waited:?}; do the name servers in /etc/resolv.conf answer? see getent ahosts {name}"
    )]
    Slow {
        /// The name.
        name: String,
        /// Time that the caller waited.
        waited: Duration,
    },
}

impl Resolver {
    /// Returns the addresses of a host, in the order in which they are to be tried: as the system sorts them, with IPv6 and IPv4 in turn,
    /// so that a family without a route delays by one attempt only. At least one and at most eight.
    ///
    /// Cancel safe: the look-up goes on, and the next call takes its result.
    ///
    /// # Errors
    ///
    /// The name does not resolve, or not within `longest`.
    pub async fn resolve(&mut self, to: &HostPort, longest: Duration) -> Result<Vec<SocketAddr>, LookupError> {
        if let Some(ip) = to.host.ip() {
            return Ok(vec![SocketAddr::new(ip, to.port)]);
        }
        let name = || to.host.0.clone();
        let lookup = self.lookup.get_or_insert_with(|| {
            let query = (name(), to.port);
            // In tokio's pool of threads for calls that block.
            tokio::spawn(async move { Ok(tokio::net::lookup_host(query).await?.collect()) })
        });
        let Ok(done) = timeout(longest, lookup).await else {
            return Err(LookupError::Slow { name: name(), waited: longest });
        };
        self.lookup = None;
        let found = done.map_err(io::Error::other).flatten();
        match found {
            Ok(found) if !found.is_empty() => Ok(in_turn(found)),
            Ok(_) => Err(LookupError::Failed { name: name(), why: "it has no address".into() }),
            Err(error) => Err(LookupError::Failed { name: name(), why: plain(&error) }),
        }
    }
}

/// Drops addresses that are there twice, and sorts the others by family in turn, beginning with that of the first one.
fn in_turn(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_ipv6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let pairs = std::iter::from_fn(|| {
        let pair: Vec<SocketAddr> = first.next().into_iter().chain(second.next()).collect();
        (!pair.is_empty()).then_some(pair)
    });
    pairs.flatten().take(ADDRESSES_MAX).collect()
}

/// Returns the reason of the system without the words that every failed look-up has.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_string()
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        // Digits and dots alone are an address with a mistake, which a name server need not be asked for.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_name = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(is_in_name)
            && !text.starts_with(['-', '.'])
            && !is_number;
        if is_name || text.parse::<IpAddr>().is_ok() { Ok(Self(text)) } else { Err(HostError::NoHost(text)) }
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        text.to_string().try_into()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_string())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostPort {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let no_port = || HostError::NoPort(text.into());
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let port = port.parse().map_err(|_| no_port())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(ip) => ip,
            // Without brackets the last group of an IPv6 address would pass for a port.
            None if host.contains(':') => return Err(no_port()),
            None => host,
        };
        Ok(Self { host: host.parse()?, port })
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(to: HostPort) -> Self {
        to.to_string()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().into(), port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.0.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Longest name (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
/// Addresses of a name that are tried. A host has one or two, and a name with more is one of a service.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_and_written_alike() {
        for text in ["edge-3.example.net:15000", "192.0.2.1:1", "[::1]:16415", "edge_3:0"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for text in ["edge-3", "::1:15000", "edge:70000", "[::1]", ""] {
            assert_eq!(text.parse::<HostPort>(), Err(HostError::NoPort(text.into())), "{text}");
        }
        for text in ["a b:1", ":1", "192.0.2.256:1", "-x:1", "[edge]x:1"] {
            assert!(matches!(text.parse::<HostPort>(), Err(HostError::NoHost(_))), "{text}");
        }
        assert!("localhost".parse::<Host>().unwrap().is_loopback() && "::1".parse::<Host>().unwrap().is_loopback());
        assert!(!"localhost.example.net".parse::<Host>().unwrap().is_loopback());
    }

    #[test]
    fn addresses_of_both_families_are_tried_in_turn() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let all = ["[::1]:1", "[::2]:1", "[::1]:1", "10.0.0.1:1", "[::3]:1"].map(address);
        let wanted = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(in_turn(all.to_vec()), wanted);
        let many = (0..100).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        assert_eq!(in_turn(many).len(), ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn address_needs_no_look_up_and_a_name_that_is_none_says_so() {
        let resolve = async |text: &str| text.parse::<HostPort>().unwrap().resolve(Duration::from_secs(60)).await;
        assert_eq!(resolve("192.0.2.1:7").await.unwrap(), ["192.0.2.1:7".parse().unwrap()]);
        assert!(resolve("localhost:7").await.unwrap().iter().all(|address| address.ip().is_loopback()));
        // Its label is too long for DNS, so no name server is asked.
        let name = format!("{}.invalid", "x".repeat(64));
        let error = resolve(&format!("{name}:7")).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the name {name} does not resolve: "))
                && error.ends_with(&format!("getent ahosts {name}")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn look_up_that_takes_long_goes_on_for_the_next_call() {
        let to: HostPort = "edge.example.net:7".parse().unwrap();
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let lookup = tokio::spawn(async move {
            let _ = answered.await;
            Ok(vec!["192.0.2.1:7".parse().unwrap()])
        });
        let mut resolver = Resolver { lookup: Some(lookup) };
        let slow = resolver.resolve(&to, Duration::from_millis(1)).await;
        assert!(matches!(slow, Err(LookupError::Slow { .. })));
        answer.send(()).unwrap();
        let found = resolver.resolve(&to, Duration::from_secs(60)).await.unwrap();
        assert_eq!(found, ["192.0.2.1:7".parse().unwrap()]);
    }
}
