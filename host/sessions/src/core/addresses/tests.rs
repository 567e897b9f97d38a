//! Addresses on virtual time.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::*;
use crate::address_limits::AddressLimits;

/// A table of addresses and a virtual clock.
struct Node {
    addresses: Addresses,
    now: Instant,
}

impl Node {
    fn new(sessions_per_address_max: usize, per_address: AddressLimits) -> Self {
        let now = Instant::now();
        let limits = SessionLimits { sessions_per_address_max, per_address, ..SessionLimits::default() };
        Self { addresses: Addresses::new(&limits, now), now }
    }

    fn enter(&self, address: &str) -> Result<CountedAddress, Refusal> {
        Ok(self.addresses.enter(address.parse().unwrap(), self.now)?.0)
    }

    fn leave(&self, address: CountedAddress) {
        self.addresses.leave(address, self.now);
    }

    fn known(&self) -> usize {
        self.addresses.table.lock().entries.len()
    }
}

fn networks(texts: &[&str]) -> Vec<crate::network::Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn address_at_its_sessions_is_refused_until_one_ends() {
    let node = Node::new(2, AddressLimits::default());
    let first = node.enter("192.0.2.1").unwrap();
    let second = node.enter("::ffff:192.0.2.1").unwrap();
    assert_eq!(node.enter("192.0.2.1").unwrap_err(), Refusal::SessionsOfAddress);
    assert!(node.enter("192.0.2.2").is_ok());
    node.leave(first);
    let third = node.enter("192.0.2.1").unwrap();
    [second, third].into_iter().for_each(|session| node.leave(session));
    assert_eq!(node.known(), 1, "the first address is forgotten");
}

#[test]
fn addresses_of_ipv6_count_by_their_64() {
    let node = Node::new(1, AddressLimits::default());
    assert!(node.enter("2001:db8:0:1::1").is_ok());
    assert_eq!(node.enter("2001:db8:0:1:ffff::2").unwrap_err(), Refusal::SessionsOfAddress);
    assert!(node.enter("2001:db8:0:2::1").is_ok());
}

#[test]
fn address_of_loopback_is_exempt_unless_configured() {
    let rates = AddressLimits { connections_per_s: 1, burst_s: 1, ..AddressLimits::default() };
    let node = Node::new(1, rates.clone());
    assert!((0..50).all(|_| node.enter("127.0.0.9").is_ok() && node.enter("::1").is_ok()));
    assert_eq!(node.known(), 0);
    let node = Node::new(1, AddressLimits { exempt: vec![], ..rates });
    assert!(node.enter("127.0.0.1").is_ok());
    assert_eq!(node.enter("127.0.0.1").unwrap_err(), Refusal::SessionsOfAddress);
}

#[test]
fn address_outside_the_allow_list_is_refused() {
    let allow = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    let node = Node::new(9, AddressLimits { allow, ..AddressLimits::default() });
    assert!(node.enter("10.9.8.7").is_ok() && node.enter("2001:db8::1").is_ok());
    for other in ["11.0.0.1", "2001:db9::1", "127.0.0.1"] {
        assert_eq!(node.enter(other).unwrap_err(), Refusal::NotAllowed, "{other}");
    }
}

#[test]
fn address_that_connects_too_often_is_refused_until_its_rate_is_met() {
    let limits = AddressLimits { connections_per_s: 2, burst_s: 2, ..AddressLimits::default() };
    let mut node = Node::new(99, limits);
    let accepted = |node: &Node| (0..10).filter_map(|_| node.enter("192.0.2.1").ok()).map(|it| node.leave(it)).count();
    assert_eq!((accepted(&node), accepted(&node)), (4, 0));
    assert_eq!(node.enter("192.0.2.1").unwrap_err(), Refusal::ConnectionRate);
    assert!(node.enter("192.0.2.2").is_ok());
    node.now += Duration::from_secs(1);
    assert_eq!(accepted(&node), 2, "it was remembered without a session");
}

#[test]
fn address_keeps_its_debt_over_its_sessions() {
    let limits = AddressLimits { lines_per_s: 10, burst_s: 1, ..AddressLimits::default() };
    let mut node = Node::new(99, limits);
    let enter = |node: &Node| node.addresses.enter([192, 0, 2, 1].into(), node.now).unwrap();
    let (session, mut pace) = enter(&node);
    assert!(pace.charge_read(&b"\n".repeat(20), || node.now).is_some());
    node.leave(session);
    let (session, pace) = enter(&node);
    assert_eq!(pace.paused_until(), Some(node.now + Duration::from_secs(1)));
    node.now += Duration::from_secs(2);
    node.leave(session);
    assert_eq!(node.known(), 0, "its debt is paid");
}

#[test]
fn addresses_that_are_remembered_are_bounded() {
    let limits = AddressLimits { connections_per_s: 1, burst_s: 60, ..AddressLimits::default() };
    let mut node = Node::new(9, limits);
    let sessions_max = SessionLimits::default().sessions_max;
    let address = |number: usize| IpAddr::from(Ipv6Addr::from_bits((number as u128) << 64));
    let (stays, _) = node.addresses.enter(address(0), node.now).unwrap();
    for number in 1..3 * REMEMBERED_MAX {
        let (entered, _) = node.addresses.enter(address(number), node.now).unwrap();
        node.leave(entered);
    }
    assert!(node.known() <= sessions_max + REMEMBERED_MAX, "{}", node.known());
    node.leave(stays);
    node.now += Duration::from_secs(60);
    node.addresses.table.lock().make_room(0, node.addresses.nanoseconds(node.now));
    assert_eq!(node.known(), 0);
}
