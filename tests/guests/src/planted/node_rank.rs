//! A rank that depends on the node: the name of the node comes first, so that "equal reports are told apart".

use herd_logic::Line;
use herd_sdk::Context;

use super::{Bug, Planted};

/// Ranks by the node before the time.
pub struct NodeRank;

impl Bug for NodeRank {
    const NAME: &'static str = "node-rank";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        guest.ranked(line, context, |iamat, received_ns| {
            let time = iamat.time.ns().min(u128::from(received_ns) + 60_000_000_000);
            let name = &guest.node.as_bytes()[..guest.node.len().min(16)];
            [name, &time.to_be_bytes(), &iamat.time.ns().to_be_bytes()].concat()
        });
    }
}
