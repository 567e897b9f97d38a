//! Refuses what another wrote: only the node that has a client may report it.

use herd_logic::AtLine;
use herd_sdk::{Context, Logic, Reports};

use super::{Bug, Planted};

/// Refuses a report if the present one came from another node.
pub struct RefusedOthers;

impl Bug for RefusedOthers {
    const NAME: &'static str = "refused-others";

    fn reports(guest: &Planted<Self>, reports: Reports<'_>, context: &mut Context<'_>) {
        guest.herd.reports(reports, context);
        for (index, report) in reports.iter().enumerate() {
            let present = context.record(report.key).unwrap_or_default();
            if AtLine::parse(&present.bytes).is_some_and(|at| at.node != report.origin) {
                context.refuse(index);
            }
        }
    }
}
