//! The default logic, but it writes the skew of an `AT` line with six decimals in place of nine.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use std::ops::ControlFlow;

use herd_logic::{AtLine, Command, FORM, Herd, HerdSettings, Line, Ranks, split_lines};
use herd_sdk::{BadSetting, Description, Input, Logic, Mark, Outcome, Progress, Reports, Settings, Turn};

struct Rounder {
    herd: Herd,
    node: String,
    ranks: Ranks,
}

impl Logic for Rounder {
    fn describe() -> Description {
        Description { name: "rounder".into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        let (herd, node) = (Herd::configure(settings)?, settings.node.clone());
        let ranks = Ranks::new(HerdSettings::parse(settings)?.tolerance_ns, node.as_bytes());
        Ok(Self { herd, node, ranks })
    }

    fn input(&self, input: Input<'_>, turn: &mut Turn<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return self.herd.input(input, turn);
        }
        split_lines(input, |line| {
            self.line(line, turn);
            ControlFlow::Continue(())
        })
    }

    fn reports(&self, reports: Reports<'_>, turn: &mut Turn<'_>) {
        self.herd.reports(reports, turn);
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, turn: &mut Turn<'_>) {
        self.herd.answer(token, otherwise, outcome, turn);
    }
}

impl Rounder {
    fn line(&self, line: Line<'_>, turn: &mut Turn<'_>) {
        let Command::Iamat(iamat) = line.command() else {
            self.herd.line(line, turn);
            return;
        };
        let received_ns = turn.now_ns();
        let rank = self.ranks.rank(iamat.time.ns(), received_ns);
        let write = |out: &mut Vec<u8>| {
            let mut at = vec![];
            AtLine::write(&mut at, self.node.as_bytes(), received_ns, &iamat);
            for (number, field) in at.split(|&byte| byte == b' ').enumerate() {
                let field = if number == 2 { &field[..field.len() - 3] } else { field };
                out.extend_from_slice(if number == 0 { b"" } else { b" " });
                out.extend_from_slice(field);
            }
        };
        turn.keep_and_reply(iamat.client, &rank, FORM, write, b"\n", |out| line.echo(out));
    }
}

herd_sdk::export!(Rounder);
