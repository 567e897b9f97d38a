//! Guests with one bug each, of the kind that authors make: the default logic with one step replaced. `herd sim --guest` has to find all.
//!
//! Owns what they share. Each bug has a file of its own under `planted/`, and a component of its name under `examples/`.

mod early_reply;
mod fetch_loop;
mod hidden_counter;
mod lossy_form;
mod lost_byte;
mod lost_fallback;
mod node_rank;
mod old_reports;
mod own_clock;
mod refused_others;
mod stale_watch;
mod times_as_text;

use std::marker::PhantomData;
use std::ops::ControlFlow;

use herd_logic::{AtLine, Command, FORM, Herd, Iamat, Line, split_lines};
use herd_sdk::{BadSetting, Context, Description, Input, Logic, Mark, Outcome, Progress, Reports, Settings};

pub use early_reply::EarlyReply;
pub use fetch_loop::FetchLoop;
pub use hidden_counter::HiddenCounter;
pub use lossy_form::LossyForm;
pub use lost_byte::LostByte;
pub use lost_fallback::LostFallback;
pub use node_rank::NodeRank;
pub use old_reports::OldReports;
pub use own_clock::OwnClock;
pub use refused_others::RefusedOthers;
pub use stale_watch::StaleWatch;
pub use times_as_text::TimesAsText;

/// Bug: a step of the default logic that is done otherwise.
pub trait Bug: Sized + 'static {
    /// Name of the guest.
    const NAME: &'static str;

    /// Decides a line.
    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        guest.herd.line(line, context);
    }

    /// Decides the input of a session.
    fn input(guest: &Planted<Self>, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        guest.lines(input, context)
    }

    /// Decides reports of a peer.
    fn reports(guest: &Planted<Self>, reports: Reports<'_>, context: &mut Context<'_>) {
        guest.herd.reports(reports, context);
    }

    /// Decides the answer to a fetch.
    fn answer(guest: &Planted<Self>, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        guest.herd.answer(token, otherwise, outcome, context);
    }
}

/// The default logic with a bug.
pub struct Planted<B> {
    herd: Herd,
    node: String,
    bug: PhantomData<fn() -> B>,
}

impl<B: Bug> Logic for Planted<B> {
    fn describe() -> Description {
        Description { name: B::NAME.into(), ..Herd::describe() }
    }

    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        Ok(Self { herd: Herd::configure(settings)?, node: settings.node.clone(), bug: PhantomData })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        B::input(self, input, context)
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        B::reports(self, reports, context);
    }

    fn answer(&self, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        B::answer(self, token, otherwise, outcome, context);
    }
}

impl<B: Bug> Planted<B> {
    /// Decides the lines of an input.
    fn lines(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.mark == Mark::Overlong {
            return self.herd.input(input, context);
        }
        split_lines(input, |line| {
            B::line(self, line, context);
            ControlFlow::Continue(())
        })
    }

    /// Decides a line, with reports ranked by `rank`.
    fn ranked(&self, line: Line<'_>, context: &mut Context<'_>, rank: impl FnOnce(&Iamat<'_>, u64) -> Vec<u8>) {
        let Command::Iamat(iamat) = line.command() else {
            self.herd.line(line, context);
            return;
        };
        let received_ns = context.now_ns();
        let rank = rank(&iamat, received_ns);
        let write = |out: &mut Vec<u8>| AtLine::write(out, self.node.as_bytes(), received_ns, &iamat);
        context.keep_and_reply(iamat.client, &rank, FORM, write, b"\n", |out| line.echo(out));
    }
}
