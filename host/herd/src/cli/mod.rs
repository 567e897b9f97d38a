//! The command line: parses, runs one command, and turns what goes wrong into one line and an exit code.
//!
//! Answers go to standard output, logs and progress to standard error. Exit codes: 0 for success, 1 for a failure, 2 for
//! a command line that makes no sense.

/// Prints a line to standard output; ends quietly when whoever reads it has had enough.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::say(format_args!("{}\n", format_args!($($text)*))) };
}

/// Like [`say!`], without the newline.
macro_rules! say_on {
    ($($text:tt)*) => { $crate::cli::say(format_args!($($text)*)) };
}

mod answers;
mod audit;
mod bench;
mod canary;
mod client_runtime;
mod config;
mod feed;
mod guest_file;
mod inspect;
mod json_text;
mod logging;
mod nodes;
mod rollback;
mod run;
mod send;
mod serve;
mod shadow;
mod shadow_totals;
mod signals;
mod status;
mod swap;
mod table;
mod test;
mod transcript_file;
mod up;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, HerdConfig, Sources, load};

/// Runs an application server herd: nodes that take clients' location reports, flood them to one another, and answer from
/// any of them where a client is and what is near it. The logic is a WebAssembly component that can be replaced while
/// clients stay connected.
#[derive(Debug, Parser)]
#[command(name = "herd", version, about, long_about = None, disable_help_subcommand = true, after_help = FIRST_STEPS)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
struct Common {
    /// The file that describes the herd. Without it: the five-node herd on 127.0.0.1.
    #[arg(long, short, global = true, env = "HERD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key of the configuration, such as sessions.idle_s=60. May be given several times.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// What is logged: error, warn, info, debug or trace, or a filter such as info,guest=debug.
    #[arg(long, global = true, env = "HERD_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// Logs as JSON, one object a line.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the whole herd in this process.
    ///
    /// Prints `herd ready` once every node accepts clients and every link is up. SIGTERM or ctrl-c drains: no new
    /// sessions, replies go out, links say goodbye; a second signal skips the wait.
    Up(up::UpArgs),
    /// Runs one node. Prints `NODE ready` once it accepts clients.
    Run(run::RunArgs),
    /// Sends lines to a node, as a client would, and prints the answers.
    Send(send::SendArgs),
    /// Walks a recorded GPS track through the herd, and checks that every report is visible at every node.
    Feed(feed::FeedArgs),
    /// Shows nodes, generations, records, digests and links.
    Status(status::StatusArgs),
    /// Replaces the logic while clients stay connected.
    ///
    /// The guest is compiled, checked and rehearsed on every node while the old generation serves, and serves when all nodes
    /// that can be reached are ready; if one refuses, nothing changes and the stage and the reason are printed. A node that
    /// is away takes it up when it is back. The generation before stays, for `herd rollback`.
    Swap(swap::SwapArgs),
    /// Goes back to the generation before the last swap. A second rollback undoes the first.
    Rollback(nodes::NodesArgs),
    /// Shows, widens, promotes or cancels a canary.
    ///
    /// `herd swap GUEST --canary SHARE` begins one: the guest decides for a share of the sessions, the same ones for as long as
    /// they last. What it faults on is decided by the active generation; if that happens too often it ends by itself.
    Canary(canary::CanaryArgs),
    /// Shows what a guest that shadows would have decided in another way, or ends the shadow.
    ///
    /// `herd swap GUEST --shadow SHARE` begins one: the guest decides a share of the calls too, after they were answered, and
    /// nothing comes of what it decides but counts and examples. A swap ends it.
    Shadow(shadow::ShadowArgs),
    /// Shows what happened to the logic of this machine's nodes: every swap and rollback, who asked, and what came of it.
    ///
    /// Reads the files, so nodes need not run. Every line holds the hash of the one before; if one was changed, removed, put
    /// in or moved, or if lines are missing at the end, the exit code is 1 and the line is named. The hash of the head,
    /// noted somewhere else, pins all that came before it.
    Audit(audit::AuditArgs),
    /// Says what a guest imports and exports, and whether this host can run it.
    Inspect(inspect::InspectArgs),
    /// Runs transcripts against a guest, without sockets, and shows what differs.
    Test(test::TestArgs),
    /// Loads nodes, or anything that speaks the line protocol, and reports rates and times.
    ///
    /// Closed loop by default: the next command when an answer is there. With --rate, open loop: times count from when a
    /// command was to be sent, so a stall counts for every command that it held up.
    Bench(bench::BenchArgs),
    /// Checks the configuration, and prints the one that is in effect, with every default.
    ///
    /// Whatever would keep a node from starting is found: unknown keys, addresses that clash, a missing secret, a setting
    /// that the guest does not take.
    Config,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("herd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    logging::start(&cli.common.log, cli.common.log_json)?;
    let common = &cli.common;
    match cli.command {
        Command::Up(args) => up::up(&common.config()?, &args),
        Command::Run(args) => run::run(&common.config()?, &args),
        Command::Send(args) => send::send(&common.config()?, args),
        Command::Feed(args) => feed::feed(&common.config()?, args),
        Command::Status(args) => status::status(&common.config()?, &args),
        Command::Swap(args) => swap::swap(&common.config()?, &args),
        Command::Rollback(args) => rollback::rollback(&common.config()?, &args),
        Command::Canary(args) => canary::canary(&common.config()?, &args),
        Command::Shadow(args) => shadow::shadow(&common.config()?, &args),
        Command::Audit(args) => audit::audit(&common.config()?, &args),
        Command::Inspect(args) => inspect::inspect(&common.config()?, &args),
        Command::Test(args) => test::test(&common.config()?, &args),
        Command::Bench(args) => bench::bench(&common.config()?, &args),
        Command::Config => config::config(&common.config()?),
    }
}

impl Common {
    fn config(&self) -> Result<HerdConfig, ConfigError> {
        load(&Sources {
            // An empty variable is how scripts unset one.
            file: self.config.clone().filter(|file| !file.as_os_str().is_empty()),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            set: self.set.clone(),
        })
    }
}

/// Prints to standard output. A reader that left, such as `head`, is no failure of ours.
fn say(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if std::io::stdout().lock().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}

const FIRST_STEPS: &str = "\
First steps, in two terminals:
  herd up
  herd send Riley \"IAMAT kiwi +34.068930-118.445127 $(date +%s.%N)\"
  herd send Campbell 'WHATSAT kiwi 10 5'
  herd status";
