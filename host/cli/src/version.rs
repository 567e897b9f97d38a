//! `herd version`: the version of the program, and what it speaks, reads and contains.

use std::process::ExitCode;

use clap::Args;
use herd_model::Digest;
use herd_node::{RECORDS_FORMAT, RECORDS_READER_MIN};
use serde_json::json;

use crate::default_guest;

/// Arguments of `herd version`.
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Also print the contract for guests, the format of the records, the guest inside the program, and how it was built.
    #[arg(long)]
    verbose: bool,
    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the version. That of a running node is in `herd status`.
pub(super) fn version(args: &VersionArgs) -> ExitCode {
    let contract = herd_runtime::contract();
    let guest = Digest::of(default_guest());
    if args.json {
        let value = json!({
            "version": VERSION,
            "contract": contract,
            "records_format": RECORDS_FORMAT,
            "records_reader_min": RECORDS_READER_MIN,
            "guest": guest.to_string(),
            "target": TARGET,
            "compiler": COMPILER,
            "commit": COMMIT,
        });
        say!("{value:#}");
        return ExitCode::SUCCESS;
    }
    say!("herd {VERSION}");
    if args.verbose {
        say!("contract  {contract}");
        say!("records   format {RECORDS_FORMAT}, readable by programs that know format {RECORDS_READER_MIN}");
        say!("guest     default ({}), built in", guest.short());
        say!("target    {TARGET}");
        say!("compiler  {COMPILER}");
        say!("commit    {}", COMMIT.unwrap_or("unknown: built without HERD_BUILD_COMMIT"));
        say!("licence   MIT OR Apache-2.0; places of GeoNames (CC BY 4.0) and airportsdata (MIT)");
    }
    ExitCode::SUCCESS
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const TARGET: &str = env!("HERD_BUILD_TARGET");
const COMPILER: &str = env!("HERD_BUILD_COMPILER");
/// Commit of the sources; packages are built with it.
const COMMIT: Option<&str> = option_env!("HERD_BUILD_COMMIT");
