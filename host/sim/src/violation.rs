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
    /// All is quiet, and a node has a record that was forgotten, and whose tombstone has reached its end.
    #[error("{key} was forgotten a month ago, and {node} has it again")]
    Returned {
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
    /// A guest does not start.
    #[error("the guest of {node} does not start: {why}")]
    NotStarted {
        /// Name of the node.
        node: String,
        /// Reason in words.
        why: String,
    },
    /// A guest made no decision.
    #[error("the guest of {node} faults on {call}: {why}")]
    GuestFaults {
        /// Name of the node.
        node: String,
        /// Inputs, reports or answer of the call.
        call: String,
        /// Reason in words.
        why: String,
    },
    /// An instance with a past decides otherwise than one without.
    #[error(
        "the guest of {node} keeps state in its instance: on {call} a warm instance decides {warm}, and a fresh one {fresh}"
    )]
    HiddenState {
        /// Name of the node.
        node: String,
        /// Inputs, reports or answer of the call.
        call: String,
        /// First effect that differs.
        warm: String,
        /// The same of a fresh instance.
        fresh: String,
    },
    /// The same bytes are decided otherwise if they arrive in other pieces.
    #[error("the guest of {node} depends on cuts: {cut} decides {pieces}, and at once {whole}")]
    DependsOnCuts {
        /// Name of the node.
        node: String,
        /// Both pieces.
        cut: String,
        /// First effect that differs, of both at once.
        whole: String,
        /// The same of the pieces.
        pieces: String,
    },
    /// A reply does not belong to its line.
    #[error("{node} answers `{line}` with {reply}")]
    WrongReply {
        /// Name of the node.
        node: String,
        /// Line of the client.
        line: String,
        /// Reply.
        reply: String,
    },
    /// A line has no reply, although all is quiet.
    #[error("{node} does not answer `{line}`, although all is quiet")]
    Unanswered {
        /// Name of the node.
        node: String,
        /// Line of the client.
        line: String,
    },
    /// A guest asks upstreams for one line as often as the host lets it.
    #[error("the guest of {node} makes {fetches} fetches for `{line}`, and the host ends it")]
    FetchLoop {
        /// Name of the node.
        node: String,
        /// Line of the client.
        line: String,
        /// Number of fetches.
        fetches: usize,
    },
    /// All is quiet, and two nodes answer one line differently.
    #[error("all is quiet and `{line}` is answered differently: {left}, and {right}")]
    AnswersDiffer {
        /// Line of the client.
        line: String,
        /// Name of a node, and its answer.
        left: String,
        /// The same of another.
        right: String,
    },
    /// All is quiet, and a node answers with less than a client was told is kept.
    #[error("a client was told `{told}`, and {node} answers `{line}` with `{answer}`, although all is quiet")]
    NotNewest {
        /// Name of the node.
        node: String,
        /// Line of the client.
        line: String,
        /// Newest report that a client was told is kept.
        told: String,
        /// First line of the answer.
        answer: String,
    },
    /// All is quiet, and a line of the check file is answered otherwise than it says.
    #[error("{node} answers `{line}` with `{got}`, and the check expects `{expected}`")]
    CheckFails {
        /// Name of the node.
        node: String,
        /// Line of the file.
        line: String,
        /// Line of the reply, as the file says.
        expected: String,
        /// Line of the reply.
        got: String,
    },
}

impl Violation {
    /// Returns the line that nodes were asked when all was quiet, if an answer to it breaks the invariant.
    #[must_use]
    pub fn asked(&self) -> Option<&str> {
        match self {
            Self::AnswersDiffer { line, .. } | Self::NotNewest { line, .. } | Self::CheckFails { line, .. } => {
                Some(line)
            }
            _ => None,
        }
    }

    /// Returns whether another violation is of the same kind.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
