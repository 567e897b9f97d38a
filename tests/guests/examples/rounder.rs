//! The default logic, except that it writes the skew of an `AT` line with six decimals instead of nine.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use std::ops::ControlFlow;

use herd_logic::{AtLine, Command, FORM, Herd, HerdSettings, Line, Ranker, split_lines};
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Outcome, Progress, Reports, Settings};

struct Rounder {
    herd: Herd,
    node: String,
    ranker: Ranker,
}

impl Logic for Rounder {
    fn describe() -> Description {
        Description { name: "rounder".into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        let (herd, node) = (Herd::configure(settings)?, settings.node.clone());
        let ranker = Ranker::new(HerdSettings::parse(settings)?.tolerance_ns, node.as_bytes());
        Ok(Self { herd, node, ranker })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return self.herd.input(input, context);
        }
        split_lines(input, |line| {
            self.line(line, context);
            ControlFlow::Continue(())
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        self.herd.reports(reports, context);
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.herd.answer(token, otherwise, outcome, context);
    }
}

impl Rounder {
    fn line(&self, line: Line<'_>, context: &mut Context<'_>) {
        let Command::Iamat(iamat) = line.command() else {
            self.herd.line(line, context);
            return;
        };
        let received_ns = context.now_ns();
        let rank = self.ranker.rank(iamat.time.ns(), received_ns);
        let write = |out: &mut Vec<u8>| {
            let mut at = vec![];
            AtLine::write(&mut at, self.node.as_bytes(), received_ns, &iamat);
            for (number, field) in at.split(|&byte| byte == b' ').enumerate() {
                let field = if number == 2 { &field[..field.len() - 3] } else { field };
                out.extend_from_slice(if number == 0 { b"" } else { b" " });
                out.extend_from_slice(field);
            }
        };
        context.keep_and_reply(iamat.client, &rank, FORM, write, b"\n", |out| line.echo(out));
    }
}

herd_sdk::export!(Rounder);
