//! Status of all nodes as a node of this machine collects it, for those that this command does not reach by itself.
//!
//! A host without an operator's certificate sees the whole herd that way. Bounds: one request, when the first node needs it.

use herd_admin::{AdminClient, AdminClientError, Endpoint};
use serde_json::Value;
use tokio::sync::OnceCell;

/// Nodes of this machine, and what the first of them that answers tells about the herd.
pub(super) struct HerdStatus {
    local: Vec<Endpoint>,
    told: OnceCell<Option<Told>>,
}

struct Told {
    /// Node that collected it.
    by: String,
    nodes: Value,
}

impl HerdStatus {
    /// Creates the status that these nodes will be asked for.
    pub(super) fn by(local: Vec<Endpoint>) -> Self {
        Self { local, told: OnceCell::new() }
    }

    /// Returns the status of a node: its own answer, or what a node of this machine was told by it.
    ///
    /// # Errors
    ///
    /// The node did not answer this command, nor a node of this machine.
    pub(super) async fn of(&self, client: &AdminClient, node: &Endpoint) -> Result<Value, AdminClientError> {
        let answer = client.status(node).await;
        // Another node may know where its host is.
        let Err(AdminClientError::NoSocket { .. } | AdminClientError::Unresolved { .. }) = &answer else {
            return answer;
        };
        let Some(told) = self.told.get_or_init(|| self.ask(client)).await else { return answer };
        told.about(node.node()).unwrap_or(answer)
    }

    async fn ask(&self, client: &AdminClient) -> Option<Told> {
        for node in &self.local {
            if let Ok(nodes) = client.herd_status(node).await {
                return Some(Told { by: node.node().into(), nodes });
            }
        }
        None
    }
}

impl Told {
    /// Returns what was told about a node. `None` if the node that collected it does not know that one.
    fn about(&self, node: &str) -> Option<Result<Value, AdminClientError>> {
        let told = &self.nodes[node];
        if told["status"].is_object() {
            return Some(Ok(told["status"].clone()));
        }
        let why = told["error"].as_str()?.to_string();
        Some(Err(AdminClientError::NotTold { through: self.by.clone(), why, is_down: told["down"] == true }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_that_another_node_told_is_taken_apart() {
        let told = Told {
            by: "Riley".into(),
            nodes: json!({
                "Jaquez": { "status": { "node": "Jaquez" } },
                "Juzang": { "error": "no answer from Juzang at 192.0.2.3:16417; is the node running?", "down": true },
            }),
        };
        assert_eq!(told.about("Jaquez").unwrap().unwrap()["node"], "Jaquez");
        let down = told.about("Juzang").unwrap().unwrap_err();
        assert!(matches!(down, AdminClientError::NotTold { is_down: true, .. }));
        assert_eq!(down.to_string(), "no answer from Juzang at 192.0.2.3:16417; is the node running? (Riley asked)");
        assert!(told.about("Campbell").is_none());
    }
}
