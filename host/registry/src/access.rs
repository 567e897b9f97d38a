//! Permissions of an operator for requests to registries.

/// Permissions beyond the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// True: reach the registry over http although it is not on loopback. Whoever is on the way reads credentials, and still cannot change what
    /// a digest names.
    pub plain_http: bool,
    /// Hosts, besides that of the registry, that may be told its credentials in exchange for a token.
    pub token_hosts: Vec<String>,
}
