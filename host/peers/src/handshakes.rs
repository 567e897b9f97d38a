//! Handshakes in progress, counted in total and per address.
//!
//! A stranger holds a place until it has proved who it is or its time is up. Without a limit per address one stranger could take all
//! places, and no peer would get in. Bounds: [`HANDSHAKES_MAX`] and [`HANDSHAKES_OF_AN_ADDRESS_MAX`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Places for handshakes.
#[derive(Default)]
pub(super) struct Handshakes(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    taken: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Place of one handshake, given back on drop.
pub(super) struct HandshakePermit {
    places: Arc<Mutex<Places>>,
    address: IpAddr,
}

impl Handshakes {
    /// Takes a place, if there is one for this address.
    pub(super) fn begin(&self, address: IpAddr) -> Option<HandshakePermit> {
        let address = group(address);
        let mut places = self.0.lock();
        let of_address = places.by_address.get(&address).copied().unwrap_or(0);
        if places.taken == HANDSHAKES_MAX || of_address == HANDSHAKES_OF_AN_ADDRESS_MAX {
            return None;
        }
        places.taken += 1;
        places.by_address.insert(address, of_address + 1);
        Some(HandshakePermit { places: Arc::clone(&self.0), address })
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        places.taken -= 1;
        if let Some(taken) = places.by_address.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                places.by_address.remove(&self.address);
            }
        }
    }
}

/// Returns what counts as one address: of IPv6 a network of 64 bits, because each host has one.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

/// Handshakes in progress, each with a stranger: a socket, 32 KiB ([`herd_identity::HANDSHAKE_BYTES_MAX`]) and 5 seconds at most; 8 MiB
/// together.
const HANDSHAKES_MAX: usize = 256;
/// Of one address. All nodes of a herd on one machine may have the same.
const HANDSHAKES_OF_AN_ADDRESS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_per_address_and_together() {
        let handshakes = Handshakes::default();
        let address = |number: u8| IpAddr::from([10, 0, 0, number]);
        let begin = |number| handshakes.begin(address(number));
        let of_one: Vec<_> = std::iter::from_fn(|| begin(1)).collect();
        assert_eq!(of_one.len(), HANDSHAKES_OF_AN_ADDRESS_MAX);
        let others: Vec<_> = (2..=255).map_while(begin).collect();
        assert_eq!(of_one.len() + others.len(), HANDSHAKES_MAX);
        drop(of_one);
        assert!(begin(1).is_some());
        drop(others);
        let places = handshakes.0.lock();
        assert_eq!((places.taken, places.by_address.len()), (0, 0));
    }

    #[test]
    fn network_of_64_bits_counts_as_one_address() {
        let parse = |text: &str| group(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::9"));
        assert_ne!(parse("2001:db8:1:2::"), parse("2001:db8:1:3::"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
        assert_ne!(parse("10.0.0.1"), parse("10.0.0.2"));
    }
}
