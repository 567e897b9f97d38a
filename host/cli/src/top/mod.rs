//! `herd top`: nodes and their rates, live.
//!
//! [`sample`] and [`rates`] turn answers of nodes into figures, [`herd_model`] holds them, [`view`] holds what an operator looks at, and the
//! pages ([`page`]) draw both as lines of text: all of that is pure. [`terminal`] shows the lines, [`live`] asks the
//! nodes, and [`once`] prints one table. Figures are those of the metrics of a node, through its admin API.

mod columns;
mod herd_model;
mod live;
mod node_page;
mod node_row;
mod once;
mod overview;
mod page;
mod rates;
mod sample;
mod screen;
mod sort;
mod terminal;
#[cfg(test)]
mod tests;
mod units;
mod view;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use herd_admin::AdminClientError;
use serde_json::Value;

use self::herd_model::HerdModel;
use self::sort::{Sort, SortKey};
use super::admin_herd::AdminHerd;
use super::answers::state;
use super::format::Format;
use super::numbers::seconds;
use super::status::faults;

/// Arguments of `herd top`.
#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Only this node. Repeatable. Default: every node of the herd.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Seconds between two looks, 0.1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = pause)]
    interval: Duration,
    /// Column to sort by: the largest first, names from A to Z.
    #[arg(long, value_enum, value_name = "COLUMN", default_value = "node")]
    sort: SortKey,
    /// Print one table and end. Rates are those of one interval.
    #[arg(long)]
    once: bool,
    /// Print the figures as JSON, in seconds and bytes.
    #[arg(long, requires = "once")]
    json: bool,
}

/// Shows the nodes until somebody quits, or prints them once. Then it fails if a node does not answer.
pub(super) fn top(herd: &AdminHerd, args: &TopArgs) -> anyhow::Result<ExitCode> {
    let sort = Sort::by(args.sort);
    if args.once {
        return once::once(herd, &args.node, args.interval, sort, Format::of_flag(args.json));
    }
    terminal::with_panics_behind(|| live::live(herd, &args.node, args.interval, sort))?;
    Ok(ExitCode::SUCCESS)
}

/// Takes what a node answered into the model.
fn take(herd: &AdminHerd, model: &mut HerdModel, node: usize, answer: &Result<Value, AdminClientError>) {
    match answer {
        Ok(status) => {
            let faults = faults(herd, &[status]);
            model.answered(node, status.clone(), faults.lines().map(ToString::to_string).collect());
        }
        Err(error) => model.missed(node, state(error), &error.to_string()),
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = seconds(text).ok().filter(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(pause));
    pause.ok_or_else(|| "write a number of seconds from 0.1 to 3600, such as 1 or 0.5".into())
}

/// More often, a status of a large node costs more than it tells.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
