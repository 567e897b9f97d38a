//! Versions of the link protocol that this program speaks.

/// Version of the link protocol. A link speaks the lower of its nodes' versions.
pub(super) const PROTOCOL_VERSION: u16 = 5;
/// Version since which nodes ask one another for compiled code.
pub(super) const PROTOCOL_VERSION_OF_CODE: u16 = 5;
/// Lowest version that this node still speaks. Nodes without a common version refuse each other's links and say why.
pub(super) const PROTOCOL_VERSION_MIN: u16 = 4;
