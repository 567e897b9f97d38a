//! Session with a node that reconnects when the connection was lost.

use std::time::Duration;

use herd_client::ClientTls;

use super::node_addr::NodeAddr;
use crate::client::{Client, ClientError, WhatsAtReply};

/// Session with one node.
pub(super) struct Session {
    pub(super) node: NodeAddr,
    tls: Option<ClientTls>,
    timeout: Duration,
    client: Option<Client>,
}

impl Session {
    pub(super) fn new(node: NodeAddr, tls: Option<ClientTls>, timeout: Duration) -> Self {
        Session { node, tls, timeout, client: None }
    }

    /// Returns the connection, after connecting if there is none.
    pub(super) async fn connect(&mut self) -> Result<&mut Client, ClientError> {
        let client = match self.client.take().filter(Client::is_usable) {
            Some(client) => client,
            None => Client::connect(self.node.addr, self.tls.as_ref(), self.timeout).await?,
        };
        Ok(self.client.insert(client))
    }

    /// Sends a report. If the connection turns out to be closed, reconnects once and sends it again, which is safe because a
    /// report that arrives twice counts once.
    pub(super) async fn report(&mut self, line: &str) -> Result<String, ClientError> {
        match self.connect().await?.request(line).await {
            Err(ClientError::Closed { .. }) => self.connect().await?.request(line).await,
            answer => answer,
        }
    }

    /// Returns true if the node shows this line as the location of the client.
    pub(super) async fn shows(&mut self, client: &str, at_line: &str) -> Result<bool, ClientError> {
        Ok(match self.connect().await?.whats_at(client, 0.0, 0).await? {
            WhatsAtReply::Known(answer) => answer.at_line == at_line && answer.has_object(),
            WhatsAtReply::Invalid(_) => false,
        })
    }
}
