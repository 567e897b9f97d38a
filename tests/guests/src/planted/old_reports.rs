//! Old reports forwarded: reports are ranked by when they arrive, so that a late one replaces a newer one everywhere.

use herd_logic::Line;
use herd_sdk::Context;

use super::{Bug, Planted};

/// Ranks by the time of arrival.
pub struct OldReports;

impl Bug for OldReports {
    const NAME: &'static str = "old-reports";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        guest.ranked(line, context, |_, received_ns| received_ns.to_be_bytes().to_vec());
    }
}
