//! Herd as it is seen from outside: status of its nodes, their links, and what they know. Waits for conditions, never for a time.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::Herd;
use crate::{WAIT_MAX, eventually};

impl Herd {
    /// Status of a node, or `None` if it does not answer.
    ///
    /// # Panics
    ///
    /// If no node of the herd was ever started.
    #[must_use]
    pub fn try_status(&self, node: &str) -> Option<Value> {
        self.operator(node).status().ok()
    }

    /// Status of a node.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    #[track_caller]
    pub fn status(&self, node: &str) -> Value {
        // The client gives up after two seconds, which a machine that is busy with other tests may take.
        self.await_status(node, "an answer", |_| true)
    }

    /// Digest of the records of a node.
    #[must_use]
    #[track_caller]
    pub fn digest(&self, node: &str) -> String {
        self.status(node)["records"]["digest"].as_str().unwrap_or_default().into()
    }

    /// Scrapes the metrics of a node.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub fn scrape(&self, node: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.metrics_address(node))?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Polls the status of a node until it satisfies `wanted`, and returns it. `what` names the condition in the message.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    #[track_caller]
    pub fn await_status(&self, node: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} at {node}"), || {
            let status = self.try_status(node).ok_or_else(|| format!("{node} does not answer"))?;
            if wanted(&status) { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until the audit log of a node has an entry with all of these words. An entry may be written a moment after the answer to the
    /// operator.
    ///
    /// # Panics
    ///
    /// If it has none in time.
    #[track_caller]
    pub fn await_audited(&self, node: &str, words: &[&str]) {
        eventually(&format!("{words:?} in the audit log of {node}"), || {
            let shown = self.herd(&["audit", "--wide", "--node", node]);
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            let found = shown.lines().any(|line| words.iter().all(|word| line.contains(word)));
            if found { Ok(()) } else { Err(shown) }
        });
    }

    /// Waits until each of these nodes has a link to each of its neighbours among them, and to no other node.
    ///
    /// # Panics
    ///
    /// If they do not in time.
    #[track_caller]
    pub fn await_linked(&self, nodes: &[&str]) {
        for node in nodes {
            let mut wanted = self.neighbours(node);
            wanted.retain(|other| nodes.contains(other));
            self.await_status(node, &format!("links to {wanted:?}"), |status| {
                let links = status["links"].as_array().into_iter().flatten();
                let up = links.filter(|link| link["state"] != "down").filter_map(|link| link["peer"].as_str());
                up.collect::<Vec<_>>() == wanted
            });
        }
    }

    /// Returns whether a node has a location of a client.
    ///
    /// # Panics
    ///
    /// If the node does not answer.
    #[must_use]
    #[track_caller]
    pub fn knows(&self, node: &str, client: &str) -> bool {
        self.client(node).ask_places(&format!("WHATSAT {client} 1 1")).0.starts_with("AT ")
    }

    /// Waits until these nodes have a location of a client.
    ///
    /// # Panics
    ///
    /// If one of them does not in time.
    #[track_caller]
    pub fn await_known(&self, client: &str, nodes: &[&str]) {
        for node in nodes {
            let known = || if self.knows(node, client) { Ok(()) } else { Err("it does not".into()) };
            eventually(&format!("{node} knows {client}"), known);
        }
    }
}
