//! The default logic, except that it panics on one `IAMAT` line in a hundred, chosen by a hash of the line.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use std::ops::ControlFlow;

use herd_logic::{Command, Herd, Line, split_lines};
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Outcome, Progress, Reports, Settings};

struct Stumbler(Herd);

impl Logic for Stumbler {
    fn describe() -> Description {
        Description { name: "stumbler".into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Herd::configure(settings).map(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return self.0.input(input, context);
        }
        split_lines(input, |line| {
            stumble(&line);
            self.0.line(line, context);
            ControlFlow::Continue(())
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        self.0.reports(reports, context);
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.0.answer(token, otherwise, outcome, context);
    }
}

fn stumble(line: &Line<'_>) {
    // FNV-1a, because it is short. Its upper half, because similar lines have similar lower bits.
    let hash = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = line.bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash) >> 32;
    assert!(!matches!(line.command(), Command::Iamat(_)) || hash % 100 != 0, "a line that this guest stumbles on");
}

herd_sdk::export!(Stumbler);
