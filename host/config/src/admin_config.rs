//! Configuration of the admin API: who may administer nodes.
//!
//! Holds only names; whether the group exists is seen when a node starts.

use serde::{Deserialize, Serialize};

/// Table `[admin]`. None of it changes while a node runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Group whose members may administer the nodes, as its name in `/etc/group` or its number. They may do everything that the user of the
    /// nodes may do through the admin socket, such as replacing the logic. The user of a node has to be a member. Default: none; only the
    /// user of the nodes and root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
