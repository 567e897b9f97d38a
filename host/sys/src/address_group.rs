//! Grouping of IP addresses, for limits that hold per address.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the address by which the hosts of an address are counted: of IPv6 its network of 64 bits, because one subscriber has as many
/// addresses of that as it likes. An IPv4 address is the same in both of its forms.
#[must_use]
pub fn address_group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}

/// The first 64 bits.
const NETWORK: u128 = !0 << 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_of_64_bits_counts_as_one_address() {
        let parse = |text: &str| address_group(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::9"));
        assert_ne!(parse("2001:db8:1:2::"), parse("2001:db8:1:3::"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
        assert_ne!(parse("10.0.0.1"), parse("10.0.0.2"));
    }
}
