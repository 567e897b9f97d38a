//! The default logic with two more commands, as an example of wrapping other logic:
//!
//! - `WATCH <client>` replies `OK` and the client's current `AT` line, if there is one. Then it sends every new `AT` line of
//!   that client.
//! - `UNWATCH <client>` stops that and replies `OK`.
//!
//! The topic of a client is its name.

#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use std::ops::ControlFlow;

use herd_logic::{Herd, Line};
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Outcome, Progress, Reports, Settings};

/// The default logic, wrapped.
pub struct Watch(Herd);

impl Logic for Watch {
    fn describe() -> Description {
        let mut description = Herd::describe();
        description.name = "watch".into();
        description.commands.extend(["WATCH".into(), "UNWATCH".into()]);
        description
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Herd::configure(settings).map(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return herd_logic::reject_overlong(input, context);
        }
        herd_logic::split_lines(input, |line| {
            if !self.line(line, context) || !self.0.closes_after_reply() {
                return ControlFlow::Continue(());
            }
            context.close();
            ControlFlow::Break(())
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        self.0.reports(reports, context);
        // A report that the default logic refused is not applied, so its publish does not go out.
        for (index, report) in reports.iter().enumerate() {
            context.publish_if_report_kept(index, report.key, &ended(report.bytes));
        }
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.0.answer(token, otherwise, outcome, context);
    }
}

impl Watch {
    /// Decides one line. Returns whether it has a reply.
    fn line(&self, line: Line<'_>, context: &mut Context<'_>) -> bool {
        let mut fields = herd_logic::fields(line.bytes);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(b"WATCH"), Some(client), None) => watch(client, context),
            (Some(b"UNWATCH"), Some(client), None) => {
                context.unsubscribe(client);
                context.reply(b"OK\n");
            }
            _ => return self.default(line, context),
        }
        true
    }

    /// Passes a line to the default logic and publishes the records that it keeps.
    fn default(&self, line: Line<'_>, context: &mut Context<'_>) -> bool {
        let before = context.checkpoint();
        let answered = self.0.line(line, context);
        for (keep, client, at_line) in context.keeps_since(before) {
            context.publish_if_kept(keep, &client, &ended(&at_line));
        }
        answered
    }
}

fn watch(client: &[u8], context: &mut Context<'_>) {
    context.subscribe(client);
    let known = context.record(client);
    context.reply_with(|out| {
        out.extend_from_slice(b"OK\n");
        if let Some(found) = known {
            out.extend_from_slice(&ended(&found.bytes));
        }
    });
}

fn ended(at_line: &[u8]) -> Vec<u8> {
    [at_line, b"\n"].concat()
}

herd_sdk::export!(Watch);
