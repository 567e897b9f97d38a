//! Command line: parses the arguments, runs one command, and turns a failure into one line and an exit code.
//!
//! Answers go to standard output, logs and progress to standard error. Exit codes: 0 for success, 1 for a failure, 2 for an
//! invalid command line. Under `--json` the message of a failure is JSON too: `{"error": "..."}`, on one line of standard error,
//! so that what a command printed before stays one document.
//!
//! ```text
//! commands -> node (configuration, wiring) -> runtime, sessions, peers, replication, upstreams, rollout, audit, admin
//! ```
//!
//! One file per command; what commands share is in files named after it. The texts of `--help` are the doc comments of the
//! arguments. Commands reach nodes only through their admin APIs, except `up` and `run`, which start them. The crate
//! also embeds the default guest, so the program of `host/herd` is no more than a call of [`main`].

#![cfg_attr(not(feature = "tools"), allow(dead_code, reason = "shared with commands that such a build leaves out"))]

#[macro_use]
mod stdout;

mod admin_herd;
mod answers;
mod audit;
mod audit_table;
mod backup;
#[cfg(feature = "tools")]
mod bench;
mod built_in_guest;
mod canary;
mod cancellation;
mod certs;
mod client_runtime;
mod code_report;
mod colour;
#[cfg(feature = "tools")]
mod compile;
#[cfg(feature = "tools")]
mod completions;
mod config;
mod config_example;
mod configured_herd;
mod context;
mod contexts;
mod convergence;
mod default_guest;
mod doctor;
mod exit_status;
mod explain;
#[cfg(feature = "tools")]
mod feed;
mod forget;
mod format;
mod global_options;
mod guest_file;
mod guest_place;
mod help;
mod herd_status;
mod inspect;
mod json_text;
#[cfg(feature = "tools")]
mod keygen;
#[cfg(not(feature = "tools"))]
mod left_out;
mod log;
mod log_filter;
mod logging;
#[cfg(feature = "tools")]
mod man;
mod memory;
#[cfg(feature = "tools")]
mod new;
mod nodes;
mod numbers;
mod open_files;
#[cfg(feature = "tools")]
mod push;
#[cfg(feature = "tools")]
mod record;
mod records;
mod repair;
#[cfg(feature = "tools")]
mod replay;
mod rollback;
mod run;
mod send;
mod serve;
mod serving_guest;
mod shadow;
mod shadow_totals;
mod shell_word;
#[cfg(feature = "tools")]
mod sign;
mod signals;
mod signature_report;
#[cfg(feature = "tools")]
mod sim;
mod started_as;
mod status;
mod status_classic;
mod status_links;
mod succession;
mod swap;
mod swap_fault;
mod table;
#[cfg(feature = "tools")]
mod test;
mod tls;
mod token;
mod top;
mod trace;
mod trace_path;
mod transcript_file;
mod up;
mod upgrade;
mod upgrade_orders;
mod version;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::global_options::GlobalOptions;

pub use self::default_guest::{default_guest, default_guest_code};

/// The first line of `herd --help`.
const ABOUT: &str = "An application server herd whose protocol logic is a WebAssembly component";

/// Transcripts of the line protocol, with their names.
pub static TRANSCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/transcripts.rs"));

/// Application server herd: nodes that accept location reports of clients, flood them to one another, and answer from any
/// node where a client is and which places are near it. The protocol logic is a WebAssembly component that can be replaced
/// while clients stay connected.
#[derive(Debug, Parser)]
#[command(name = "herd", version, about = ABOUT, long_about = None, after_help = FIRST_STEPS, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole herd in this process.
    ///
    /// Prints `herd ready` once every node accepts clients and every link is up. SIGTERM or ctrl-c drains: no new sessions,
    /// pending replies are sent, links are closed in order. A second signal skips the wait.
    Up(up::UpArgs),
    /// Run one node. Prints `NODE ready` once it accepts clients.
    Run(run::RunArgs),
    /// Send lines to a node, as a client would, and print the answers.
    Send(send::SendArgs),
    #[cfg(feature = "tools")]
    /// Replay a recorded GPS track, and check that every report becomes visible at every node.
    Feed(feed::FeedArgs),
    /// Show nodes, generations, records, digests and links.
    Status(status::StatusArgs),
    /// Show rates, decision times, sessions, records, faults and links of all nodes, live.
    ///
    /// Asks every node each second. Keys: j and k or the arrows select a node, enter shows all of it, o shows all links, escape goes back, and
    /// n, l, t, s, r, g and f sort by node, lines, time, sessions, records, generation and faults. q or ctrl-c quits. With --once it prints
    /// one table, and the exit code is 1 if a node does not answer.
    Top(top::TopArgs),
    /// Replace the logic while clients stay connected.
    ///
    /// Every node compiles, checks and rehearses the guest while the active generation serves, and activates it once all nodes
    /// that can be reached are ready. If one refuses, nothing changes, and the stage and the reason are printed. An absent node
    /// applies the swap when it is back. The generation before is kept for `herd rollback`.
    Swap(swap::SwapArgs),
    /// Return to the generation before the last swap. A second rollback undoes the first.
    ///
    /// With --discard-records every node also forgets what its clients reported since it adopted that swap. That cannot be undone, and
    /// goes with the first rollback only.
    Rollback(rollback::RollbackArgs),
    /// Show, widen, promote or cancel a canary.
    ///
    /// `herd swap GUEST --canary SHARE` starts one: the guest decides for a share of the sessions, each for as long as it lasts.
    /// The active generation decides the inputs on which the canary faults. Too many faults end the canary.
    Canary(canary::CanaryArgs),
    /// Show what a shadow would have decided differently, or end it.
    ///
    /// `herd swap GUEST --shadow SHARE` starts one: the guest also decides a share of the calls, after they were answered. Its
    /// decisions have no effect but counts and examples of differences. A swap ends it.
    Shadow(shadow::ShadowArgs),
    /// Forget a client at every node.
    ///
    /// Asks for no confirmation. Reports that were made before and arrive later lose to it, also at nodes that are away, for as long as
    /// `records.forget_keep_days` says; the next report of the client is kept again.
    Forget(forget::ForgetArgs),
    /// Print records as JSON, one a line.
    ///
    /// Keys and records that are no UTF-8 text are also printed in hexadecimal, as `key_hex` and `record_hex`; ranks always are.
    Records(records::RecordsArgs),
    /// Show the way of the latest report of a client: where it came in, who decided it, when each node had it, by which link.
    ///
    /// Asks every node, and needs no collector of traces. Each node remembers its last 65,536 arrivals (`trace.arrivals`); of older
    /// reports the answer says so. Times are converted to the clock of the node where the report came in, so that the hops add up. The
    /// exit code is 1 if no node has a record of the client, or a node does not answer.
    Trace(trace::TraceArgs),
    /// Show what running nodes log, or change it until they end.
    ///
    /// `herd log` shows the filter of each node, `herd log debug` sets it at all nodes, `herd log Riley info,guest=debug` at one. Nodes of one
    /// process share its filter. Changes are in the audit log. The exit code is 1 if a node does not answer.
    Log(log::LogArgs),
    /// Write a consistent copy of the records of a running node into an empty or new directory.
    ///
    /// The node writes it, on its machine and as its user. It is also the folder of a node that has not started yet.
    Backup(backup::BackupArgs),
    /// Offer the records of a backup to a running node. Newer records win.
    ///
    /// The node reads it, on its machine and as its user. Forgotten clients stay forgotten. The records that won spread to all nodes.
    Restore(backup::RestoreArgs),
    /// Prove that nodes hold equal records, and mend them where they do not.
    ///
    /// Nodes do that every 30 seconds by themselves. The exit code is 1 if a link gave no proof, as under load.
    Repair(nodes::NodesArgs),
    /// Verify and print the audit logs of the nodes on this machine: every swap and rollback, who requested it, and its outcome.
    ///
    /// Reads the files, so nodes need not run. Every line contains the hash of the one before. If a line was changed, removed,
    /// inserted or moved, or if lines are missing at the end, the exit code is 1 and the line is named. To pin everything
    /// before it, note the hash of the head elsewhere.
    Audit(audit::AuditArgs),
    /// Replace the token of the admin API, which browsers and scripts send over TCP.
    ///
    /// The commands here need none: they use the admin socket of a node, which sees which user asks, or the certificate of an operator.
    Token(token::TokenArgs),
    /// Replace the program of the nodes on this machine, with the same process id and the same ports.
    ///
    /// The new program checks itself first: configuration, guests, formats. Then the process answers what it has read, closes its
    /// sessions and links, flushes its records, and becomes the new program. Clients connect again; new connections wait meanwhile. To
    /// replace the logic alone, `herd swap` closes nothing. The exit code is 1 if a process does not run the new program.
    Upgrade(upgrade::UpgradeArgs),
    /// Make and show certificates: of the authority of the herd, of its nodes and operators.
    ///
    /// A herd whose links are all on loopback makes and renews them by itself. Across hosts: `init` once, `issue` for each node, carry
    /// each file to its host, and `install` it there.
    Certs(certs::CertsArgs),
    /// Say what is wrong with a node of this host and with the ways to its neighbours, and what to type.
    ///
    /// Looks at addresses, names, certificates, clocks, versions, open files and permissions, with the node running or not, and changes
    /// nothing. A line for each finding: `ok`, `warn` or `fault`. The exit code is 1 if there is a fault.
    Doctor(doctor::DoctorArgs),
    #[cfg(feature = "tools")]
    /// Create a project for a guest of your own, in Rust, Python or JavaScript.
    ///
    /// Writes a folder with a first command, its transcripts, the sdk, the contract and a README, and prints the commands that build, test
    /// and swap it. They need no network but the package registry of the language.
    New(new::NewArgs),
    /// Show what a guest is: contract, imports and exports, memory, forms, needs and signatures, and whether this host can run it.
    ///
    /// Imports that the contract does not have come with their usual causes in each language. What it writes is compared with the guest that the
    /// herd serves, or with the built-in one if no node answers. The exit code is 1 if this host cannot run it, or the configuration requires
    /// signatures that it lacks.
    Inspect(inspect::InspectArgs),
    #[cfg(feature = "tools")]
    /// Make a key that signs guests.
    ///
    /// Writes NAME.key, for whoever signs, and NAME.pub, and prints what nodes need in their configuration to take only guests that are signed.
    /// Both files are those of minisign, without a passphrase.
    Keygen(keygen::KeygenArgs),
    #[cfg(feature = "tools")]
    /// Sign a guest, into GUEST.minisig beside it.
    ///
    /// `herd swap GUEST` sends the file along, and nodes with `[swap.require_signature]` in their configuration take no guest without. Several
    /// keys can sign one guest, one after the other. See `herd help signatures`.
    Sign(sign::SignArgs),
    #[cfg(feature = "tools")]
    /// Store a guest in an OCI registry, with its signatures and transcripts.
    ///
    /// Prints the reference with the digest of the artifact, for `herd swap`, which takes no tag alone. Credentials are those of `docker login`
    /// and `podman login`. A registry on loopback is reached over http, and every other one over https.
    Push(push::PushArgs),
    #[cfg(feature = "tools")]
    /// Compile a guest ahead, for nodes that have no compiler, into GUEST.bundle.
    ///
    /// The bundle holds the component and its code for each target. `herd sign` signs both, and `herd swap` takes it over the admin socket,
    /// for a whole herd. Nodes take code only if the keys of their configuration signed it. See `herd help edge`.
    Compile(compile::CompileArgs),
    #[cfg(feature = "tools")]
    /// Run transcripts against a guest, without sockets, and show differences.
    ///
    /// Each runs on a warm instance, and again with a fresh instance for every event: a difference between the two shows that the guest
    /// keeps state in its instance. The exit code is 0 if all hold, 1 if some do not or a budget is exceeded, and 2 for an invalid
    /// command line, and for a guest or a transcript that cannot be read.
    Test(test::TestArgs),
    #[cfg(feature = "tools")]
    /// Make the decisions of a log again, and show what differs, by command and field.
    ///
    /// `[record]` in the configuration makes nodes write logs. With --guest, another guest decides: what would it have changed? The exit
    /// code is 1 if a decision differs.
    Replay(replay::ReplayArgs),
    #[cfg(feature = "tools")]
    /// Redact a log of decisions.
    Record(record::RecordArgs),
    #[cfg(feature = "tools")]
    /// Run whole herds on virtual time, with faults, and check that nothing is lost.
    ///
    /// Each seed is a herd with links, disks, clocks and clients of its own. A seed that breaks an invariant is printed with the command that
    /// replays it, then shrunk to a scenario and saved. The exit code is 1 if one does.
    Sim(sim::SimArgs),
    #[cfg(feature = "tools")]
    /// Put load on nodes, or on any server of the line protocol, and report rates and latencies.
    ///
    /// Closed loop by default: the next command is sent when an answer arrives. With --rate, open loop: latency counts from the
    /// time at which a command was due, so a stall counts for every command that it delayed.
    Bench(bench::BenchArgs),
    /// Check the configuration, and print it with every default.
    ///
    /// Finds everything that would keep a node from starting: unknown keys, addresses that clash, a missing secret, a setting
    /// that the guest refuses.
    Config(config::ConfigArgs),
    /// Give herds names, and choose the one that commands use.
    ///
    /// See `herd help contexts`.
    Context(context::ContextArgs),
    /// Print the version, and with --verbose what the program speaks, reads and contains.
    Version(version::VersionArgs),
    #[cfg(feature = "tools")]
    /// Print a script with which a shell completes commands and arguments.
    #[command(after_help = completions::PLACES)]
    Completions(completions::CompletionsArgs),
    #[cfg(feature = "tools")]
    /// Write manual pages into a directory, one for each command.
    Man(man::ManArgs),
    /// Print the help of a command, or a topic: concepts, swapping, signatures, agreement, files, contexts or exit-codes.
    Help(help::HelpArgs),
}

/// Runs the command that the arguments of this process name, and returns its exit code.
pub fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    herd_sys::limit_malloc_arenas();
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => return print_command_line_error(&error),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            if wants_json() {
                print_json_error(&format!("{error:#}"));
            } else {
                eprintln!("herd: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints what the parser says in place of running a command, which is also how it prints help, and returns its exit code.
fn print_command_line_error(error: &clap::Error) -> ExitCode {
    #[cfg(not(feature = "tools"))]
    if let Some(left_out) = left_out::explain(error) {
        eprintln!("{left_out}");
        return ExitCode::from(2);
    }
    if error.use_stderr() && wants_json() {
        print_json_error(error.render().to_string().trim_end());
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Returns whether the command line has `--json`. Read from the arguments themselves, because those that clap rejects have no
/// command that could tell.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

fn print_json_error(error: &str) {
    eprintln!("{}", serde_json::json!({ "error": error }));
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let log = logging::start(&cli.options.log, cli.options.log_json)?;
    let options = &cli.options;
    match cli.command {
        Command::Up(args) => up::up(&options.config_to_start()?, &args, log),
        Command::Run(args) => run::run(&options.config_to_start()?, &args, log),
        Command::Send(args) => send::send(&options.config()?, args),
        #[cfg(feature = "tools")]
        Command::Feed(args) => feed::feed(&options.config()?, args),
        Command::Status(args) => status::status(&options.herd()?, &args),
        Command::Top(args) => top::top(&options.herd()?, &args),
        Command::Swap(args) => swap::swap(&options.herd()?, &args),
        Command::Rollback(args) => rollback::rollback(&options.herd()?, &args),
        Command::Canary(args) => canary::canary(&options.herd()?, &args),
        Command::Shadow(args) => shadow::shadow(&options.herd()?, &args),
        Command::Forget(args) => forget::forget(&options.herd()?, &args),
        Command::Records(args) => records::records(&options.herd()?, &args),
        Command::Trace(args) => trace::trace(&options.herd()?, &args),
        Command::Log(args) => log::log(&options.herd()?, &args),
        Command::Backup(args) => backup::backup(&options.herd()?, &args),
        Command::Restore(args) => backup::restore(&options.herd()?, &args),
        Command::Repair(args) => repair::repair(&options.herd()?, &args),
        Command::Audit(args) => audit::audit(&options.config()?, &args),
        Command::Token(args) => token::token(&options.config()?, &args),
        Command::Upgrade(args) => upgrade::upgrade(&options.herd()?, &args),
        Command::Certs(args) => certs::certs(options, &args),
        Command::Doctor(args) => doctor::doctor(&options.configured()?, &args),
        #[cfg(feature = "tools")]
        Command::New(args) => new::new(&args),
        Command::Inspect(args) => inspect::inspect(&options.herd()?, &args),
        #[cfg(feature = "tools")]
        Command::Keygen(args) => keygen::keygen(&args),
        #[cfg(feature = "tools")]
        Command::Sign(args) => sign::sign(&args),
        #[cfg(feature = "tools")]
        Command::Push(args) => push::push(&args),
        #[cfg(feature = "tools")]
        Command::Compile(args) => compile::compile(&args),
        #[cfg(feature = "tools")]
        Command::Test(args) => test::test(&options.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Replay(args) => replay::replay(&options.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Record(args) => record::record(&options.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Sim(args) => sim::sim(&options.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Bench(args) => bench::bench(&options.config()?, &args),
        Command::Config(args) => config::config(options, &args),
        Command::Context(args) => context::context(options, &args),
        Command::Version(args) => Ok(version::version(&args)),
        #[cfg(feature = "tools")]
        Command::Completions(args) => Ok(completions::completions(&args)),
        #[cfg(feature = "tools")]
        Command::Man(args) => man::man(&args),
        Command::Help(args) => Ok(help::help(&args)),
    }
}

impl Cli {
    /// Parses the arguments of this process.
    fn of_process() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        cli.options.set_sources(&matches);
        Ok(cli)
    }
}

/// Example at the end of `herd --help`.
const FIRST_STEPS: &str = "\
First steps, in two terminals:
  herd up
  herd send Riley \"IAMAT kiwi +34.068930-118.445127 $(date +%s.%N)\"
  herd send Campbell 'WHATSAT kiwi 10 5'
  herd status

Topics: herd help concepts, swapping, signatures, agreement, files, contexts or exit-codes.";
