//! Connection that is made again when it was lost.

use std::time::Duration;

use super::node_addr::NodeAddr;
use crate::client::{Client, ClientError, WhatsAtReply};

/// A connection that is made again when it was lost.
pub(super) struct Session {
    pub(super) node: NodeAddr,
    timeout: Duration,
    client: Option<Client>,
}

impl Session {
    pub(super) fn new(node: NodeAddr, timeout: Duration) -> Self {
        Session { node, timeout, client: None }
    }

    pub(super) async fn connect(&mut self) -> Result<&mut Client, ClientError> {
        let client = match self.client.take().filter(Client::is_usable) {
            Some(client) => client,
            None => Client::connect(self.node.addr, self.timeout).await?,
        };
        Ok(self.client.insert(client))
    }

    /// Sends a report. A connection that turns out closed (an idle one, or one closed after the last reply) is made
    /// again once: the same report twice is the same report.
    pub(super) async fn report(&mut self, line: &str) -> Result<String, ClientError> {
        match self.connect().await?.request(line).await {
            Err(ClientError::Closed { .. }) => self.connect().await?.request(line).await,
            answer => answer,
        }
    }

    /// Whether the node shows the line as the client's.
    pub(super) async fn shows(&mut self, client: &str, at_line: &str) -> Result<bool, ClientError> {
        Ok(match self.connect().await?.whats_at(client, 0.0, 0).await? {
            WhatsAtReply::Known(answer) => answer.at_line == at_line && answer.has_object(),
            WhatsAtReply::Invalid(_) => false,
        })
    }
}
