//! A reply before its keep: clients are told at once, and not once the report is safe.

use herd_logic::{AtLine, Command, FORM, Line};
use herd_sdk::Context;

use super::{Bug, Planted};

/// Replies before the keep is confirmed.
pub struct EarlyReply;

impl Bug for EarlyReply {
    const NAME: &'static str = "early-reply";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        let Command::Iamat(iamat) = line.command() else {
            guest.herd.line(line, context);
            return;
        };
        let received_ns = context.now_ns();
        let rank = [iamat.time.ns().to_be_bytes(), u128::from(!received_ns).to_be_bytes()].concat();
        let mut at = Vec::new();
        AtLine::write(&mut at, guest.node.as_bytes(), received_ns, &iamat);
        context.keep(iamat.client, &rank, FORM, |out| out.extend_from_slice(&at));
        at.push(b'\n');
        context.reply(&at);
    }
}
