//! Ports of a page, and free ones in their place, so that pages are typed while other tests run.

use crate::ports::HeldAddress;

/// Ports of the page, and those that are used in their place.
pub struct Ports {
    /// As `:15415`, with the address that is reserved for it.
    pairs: Vec<(String, HeldAddress)>,
}

impl Ports {
    /// The ports of the page themselves.
    #[must_use]
    pub fn as_shown() -> Self {
        Self { pairs: vec![] }
    }

    /// Free ports in place of those of the five-node herd, at the same distances: a configuration needs only those of clients. They keep
    /// their order, in which nodes are listed.
    ///
    /// # Panics
    ///
    /// If the system has too few free ports.
    #[must_use]
    pub fn free() -> Self {
        let mut nodes: Vec<Vec<HeldAddress>> =
            (0..TRIES_MAX).filter_map(|_| HeldAddress::series(&ABOVE)).take(CLIENTS.len()).collect();
        assert_eq!(nodes.len(), CLIENTS.len(), "too few free ports");
        nodes.sort_by_key(|addresses| addresses[0].address);
        let shown = |client: u16| ABOVE.map(|above| format!(":{}", client + above));
        let pairs = CLIENTS.zip(nodes).flat_map(|(client, held)| shown(client).into_iter().zip(held));
        Self { pairs: pairs.collect() }
    }

    /// Configuration of the five-node herd at these ports.
    #[must_use]
    pub fn configuration(&self) -> String {
        const LINKS: [(&str, &str); 5] = [
            ("Riley", "\"Jaquez\", \"Juzang\""),
            ("Jaquez", "\"Bernard\""),
            ("Juzang", "\"Bernard\", \"Campbell\""),
            ("Campbell", "\"Bernard\""),
            ("Bernard", ""),
        ];
        let node = |((name, links), port): ((&str, &str), u16)| {
            format!("[nodes.{name}]\nclient = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
        };
        self.to_ours(&LINKS.into_iter().zip(CLIENTS).map(node).collect::<String>())
    }

    pub(super) fn to_ours(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_string(), |text, (shown, held)| {
            text.replace(shown.as_str(), &format!(":{}", held.address.port()))
        })
    }

    pub(super) fn to_shown(&self, text: &str) -> String {
        self.pairs
            .iter()
            .fold(text.to_string(), |text, (shown, held)| text.replace(&format!(":{}", held.address.port()), shown))
    }
}

/// Ports for clients of the five-node herd.
const CLIENTS: std::ops::Range<u16> = 15415..15420;

/// Ports of a node above that for clients: itself, that of links, of the admin API and of metrics.
const ABOVE: [u16; 4] = [0, 1000, 2000, 3000];

/// Attempts to find free ports. One fails when one of the three above a free port is taken, which is rare.
const TRIES_MAX: usize = 100;
