//! A fetch loop: an answer that is a failure is asked for again, and again.

use herd_sdk::{Context, Logic, Outcome};

use super::{Bug, Planted};

/// Asks again whenever a source fails.
pub struct FetchLoop;

impl Bug for FetchLoop {
    const NAME: &'static str = "fetch-loop";

    fn answer(guest: &Planted<Self>, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        // `{}` has no places, and that is no failure of the network: it stays so.
        if let Outcome::Answered { body: b"{}", .. } = outcome {
            context.fetch("embedded", "", token, otherwise);
        } else {
            guest.herd.answer(token, otherwise, outcome, context);
        }
    }
}
