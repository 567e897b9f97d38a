//! Violation: an invariant that a simulation broke.

/// Invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A node's vector covers a keep, and the node holds neither that record nor one that outranks it.
    #[error("{node} covers {keep} and lacks it")]
    CoversWithout {
        /// Name of the node.
        node: String,
        /// The keep: origin, worker and number.
        keep: String,
    },
    /// A client was told that its report is kept, and no node has it.
    #[error("a report of {key} was answered and nobody has it ({mode})")]
    Lost {
        /// Key of the record.
        key: String,
        /// Durability and acknowledgements of the herd.
        mode: String,
    },
    /// All links are healed and quiet, and a node lacks a report that a client was told is kept.
    #[error("a report of {key} was answered and is not at {node}, although all is quiet")]
    NotEverywhere {
        /// Key of the record.
        key: String,
        /// Name of the node.
        node: String,
    },
    /// All links are healed, and they do not come to rest.
    #[error("links are healed and never quiet: {what}")]
    NeverQuiet {
        /// Traffic that goes on.
        what: String,
    },
    /// All is quiet, and two nodes hold different records.
    #[error("{left} and {right} are quiet and their digests differ")]
    Digests {
        /// Name of a node.
        left: String,
        /// Name of another.
        right: String,
    },
    /// All is quiet, and two nodes cover different keeps.
    #[error("{left} and {right} are quiet and their vectors differ: {difference}")]
    Vectors {
        /// Name of a node.
        left: String,
        /// Name of another.
        right: String,
        /// First lane that differs.
        difference: String,
    },
    /// A proof mended records, and none was damaged.
    #[error("{node} mends records on its link with {peer}, and none was damaged")]
    NeedlessRepair {
        /// Name of the node.
        node: String,
        /// Name of the peer.
        peer: String,
    },
    /// All is quiet and equal, and two nodes do not prove it.
    #[error("{node} and {peer} are quiet and equal, and do not prove it")]
    NotProved {
        /// Name of the node.
        node: String,
        /// Name of the peer.
        peer: String,
    },
    /// A node serves by a swap what it refused in that swap, or what no node can serve.
    #[error("{node} serves a guest that it refused")]
    ServesRefused {
        /// Name of the node.
        node: String,
    },
    /// All is quiet, and a node serves another guest than the herd, without a reason that the herd knows.
    #[error("all is quiet and {node} serves another guest than the herd")]
    ServesAnother {
        /// Name of the node.
        node: String,
    },
    /// All is quiet, and two nodes know different swaps of the herd.
    #[error("{left} and {right} are quiet and know different swaps")]
    HerdStates {
        /// Name of a node.
        left: String,
        /// Name of another.
        right: String,
    },
    /// An operator was told of a swap that a node does not know, although all is quiet.
    #[error("a swap was answered and {node} does not know it, although all is quiet")]
    SwapLost {
        /// Name of the node.
        node: String,
    },
    /// All is quiet, and one command does not bring every node to one guest.
    #[error("all is quiet and a swap does not reach every node: {answer}")]
    NotSwapped {
        /// Answer to the operator.
        answer: String,
    },
    /// A guest was shown a record that has expired.
    #[error("{node} shows a record that has expired")]
    ShowsExpired {
        /// Name of the node.
        node: String,
    },
    /// A node could not take what another one sent.
    #[error("{node} refuses a frame of {peer}: {why}")]
    Refused {
        /// Name of the node.
        node: String,
        /// Name of the peer.
        peer: String,
        /// Reason in words.
        why: String,
    },
    /// A node found its log damaged, although nothing had damaged it.
    #[error("{node} finds its log damaged, and nothing damaged it: {what}")]
    Damaged {
        /// Name of the node.
        node: String,
        /// First damage.
        what: String,
    },
    /// A node could not read its own log.
    #[error("{node} cannot read an entry of its log")]
    Unreadable {
        /// Name of the node.
        node: String,
    },
}
