//! The default logic, except for reports about some clients, by the beginning of their name: it refuses those about `refuse-`,
//! panics on those about `trap-`, and sleeps over those about `sleep-`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_logic::Herd;
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Outcome, Progress, Reports, Settings};

struct Refuser(Herd);

impl Logic for Refuser {
    fn describe() -> Description {
        Description { name: "refuser".into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Herd::configure(settings).map(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        self.0.input(input, context)
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        for (index, report) in reports.iter().enumerate() {
            match report.key {
                key if key.starts_with(b"trap-") => panic!("a report that nobody can stand"),
                key if key.starts_with(b"sleep-") => std::thread::sleep(std::time::Duration::from_secs(3600)),
                key if key.starts_with(b"refuse-") => context.refuse(index),
                _ => {}
            }
        }
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        self.0.answer(token, otherwise, outcome, context);
    }
}

herd_sdk::export!(Refuser);
