//! Times compared as text: 099 is before 1.

use herd_logic::Line;
use herd_sdk::Context;

use super::{Bug, Planted};

/// Ranks by the text of a time.
pub struct TimesAsText;

impl Bug for TimesAsText {
    const NAME: &'static str = "times-as-text";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        guest.ranked(line, context, |iamat, _| {
            let time = iamat.time.text();
            time[..time.len().min(64)].to_vec()
        });
    }
}
