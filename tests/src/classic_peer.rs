//! A node of an older herd, in Python: a neighbour for classic links.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::ports::HeldAddress;
use crate::{Client, Process, Scratch, tool};

/// Plan of an older node at an address of its own on loopback. It does not run until it is [started](Self::start).
pub struct ClassicPeer {
    name: String,
    address: HeldAddress,
    scratch: Scratch,
}

impl ClassicPeer {
    /// Reserves a port of this address of loopback. None, said aloud, if Python is not installed.
    ///
    /// # Panics
    ///
    /// If Python is missing where it must not be, or no port is free.
    #[must_use]
    pub fn at(name: &str, ip: Ipv4Addr) -> Option<Self> {
        tool("python3", "python3")?;
        Some(Self { name: name.into(), address: HeldAddress::at(ip), scratch: Scratch::new() })
    }

    /// Address for clients and neighbours.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.address
    }

    /// Starts it with these neighbours and waits until it listens. A record that it had before is gone.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(&self, neighbours: &[SocketAddr]) -> Process {
        let mut command = Command::new("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("classic/peer.py"));
        command.args([&self.name, &self.address().to_string()]);
        if !neighbours.is_empty() {
            let neighbours: Vec<String> = neighbours.iter().map(ToString::to_string).collect();
            command.args(["--neighbours", &neighbours.join(",")]);
        }
        let mut process = Process::start(command, &self.name, self.scratch.path("peer.log"));
        process.await_line("ready");
        process
    }

    /// Connects a client.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// `AT` line that it answers a question with, or its question mark.
    #[must_use]
    #[track_caller]
    pub fn at_line(&self, client: &str) -> String {
        self.client().ask(&format!("WHATSAT {client} 10 5"))
    }

    /// Number of `AT` lines that it received and sent.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    #[track_caller]
    pub fn counts(&self) -> [u64; 2] {
        let counts = self.client().ask("COUNTS");
        let (received, sent) = counts.split_once(' ').expect("two numbers");
        [received, sent].map(|count| count.parse().expect("a number"))
    }
}
