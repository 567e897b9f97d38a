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
mod convergence;
mod default_guest;
mod doctor;
mod exit_status;
mod explain;
#[cfg(feature = "tools")]
mod feed;
mod forget;
mod format;
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

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use herd_config::{ConfigError, HerdConfig, Sources, load};

use self::admin_herd::AdminHerd;
use self::configured_herd::ConfiguredHerd;
use self::context::{Chosen, Context, ContextName, FollowsCurrent, NamedHerd, choose};

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
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Arguments of every command.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Configuration file of the herd. Default: the five-node herd on 127.0.0.1.
    // Not the default parser, which refuses an empty path: scripts unset a variable by making it empty.
    #[arg(long, short, global = true, env = "HERD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    /// Set a key of the configuration, such as sessions.idle_s=60. Repeatable.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Log level (error, warn, info, debug or trace) or filter, such as info,guest=debug.
    #[arg(long, global = true, env = "HERD_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// Log in JSON, one object per line.
    #[arg(long, global = true)]
    log_json: bool,
    /// Certificate of an operator, as `herd certs issue --operator NAME` makes it: reach all nodes over their link ports with it. Default:
    /// the installed one (`herd certs install`), for nodes without an admin socket here.
    #[arg(long, global = true, env = "HERD_IDENTITY", value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    identity: Option<PathBuf>,
    /// Context to use: a name for a herd, made by `herd context add`. Default: the current context, for commands that do not start nodes.
    #[arg(long, global = true, env = "HERD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    #[arg(skip)]
    sources: OptionSources,
}

/// Where the options that name a herd are from: the command line beats the environment.
#[derive(Clone, Copy, Debug, Default)]
struct OptionSources {
    config: Option<ValueSource>,
    context: Option<ValueSource>,
    identity: Option<ValueSource>,
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
    let log = logging::start(&cli.common.log, cli.common.log_json)?;
    let common = &cli.common;
    match cli.command {
        Command::Up(args) => up::up(&common.config_to_start()?, &args, log),
        Command::Run(args) => run::run(&common.config_to_start()?, &args, log),
        Command::Send(args) => send::send(&common.config()?, args),
        #[cfg(feature = "tools")]
        Command::Feed(args) => feed::feed(&common.config()?, args),
        Command::Status(args) => status::status(&common.herd()?, &args),
        Command::Top(args) => top::top(&common.herd()?, &args),
        Command::Swap(args) => swap::swap(&common.herd()?, &args),
        Command::Rollback(args) => rollback::rollback(&common.herd()?, &args),
        Command::Canary(args) => canary::canary(&common.herd()?, &args),
        Command::Shadow(args) => shadow::shadow(&common.herd()?, &args),
        Command::Forget(args) => forget::forget(&common.herd()?, &args),
        Command::Records(args) => records::records(&common.herd()?, &args),
        Command::Trace(args) => trace::trace(&common.herd()?, &args),
        Command::Log(args) => log::log(&common.herd()?, &args),
        Command::Backup(args) => backup::backup(&common.herd()?, &args),
        Command::Restore(args) => backup::restore(&common.herd()?, &args),
        Command::Repair(args) => repair::repair(&common.herd()?, &args),
        Command::Audit(args) => audit::audit(&common.config()?, &args),
        Command::Token(args) => token::token(&common.config()?, &args),
        Command::Upgrade(args) => upgrade::upgrade(&common.herd()?, &args),
        Command::Certs(args) => certs::certs(common, &args),
        Command::Doctor(args) => doctor::doctor(&common.configured()?, &args),
        #[cfg(feature = "tools")]
        Command::New(args) => new::new(&args),
        Command::Inspect(args) => inspect::inspect(&common.herd()?, &args),
        #[cfg(feature = "tools")]
        Command::Keygen(args) => keygen::keygen(&args),
        #[cfg(feature = "tools")]
        Command::Sign(args) => sign::sign(&args),
        #[cfg(feature = "tools")]
        Command::Push(args) => push::push(&args),
        #[cfg(feature = "tools")]
        Command::Compile(args) => compile::compile(&args),
        #[cfg(feature = "tools")]
        Command::Test(args) => test::test(&common.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Replay(args) => replay::replay(&common.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Record(args) => record::record(&common.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Sim(args) => sim::sim(&common.config()?, &args),
        #[cfg(feature = "tools")]
        Command::Bench(args) => bench::bench(&common.config()?, &args),
        Command::Config(args) => config::config(common, &args),
        Command::Context(args) => context::context(common, &args),
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
        cli.common.sources = OptionSources::of(&matches);
        Ok(cli)
    }
}

impl OptionSources {
    fn of(matches: &ArgMatches) -> Self {
        let [config, context, identity] = ["config", "context", "identity"].map(|option| matches.value_source(option));
        Self { config, context, identity }
    }
}

impl Common {
    /// Loads the configuration for a command that administers nodes.
    fn herd(&self) -> anyhow::Result<AdminHerd> {
        let chosen = self.chosen()?;
        let config = self.load(chosen.as_ref().map(|chosen| &chosen.context))?;
        let identity = self.identity_of(chosen.as_ref());
        Ok(AdminHerd::new(config, identity).in_context(chosen.map(|chosen| chosen.name)))
    }

    /// Returns the file of the configuration, if an option or the environment names one.
    fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().filter(|file| !file.as_os_str().is_empty())
    }

    /// Returns the file of the certificate of an operator, if an option or the environment names one.
    fn identity_file(&self) -> Option<PathBuf> {
        self.identity.clone().filter(|file| !file.as_os_str().is_empty())
    }

    /// Returns the file of the configuration that a command uses, if there is one.
    fn used_config_file(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(match self.chosen()? {
            Some(chosen) => chosen.context.config,
            None => self.config_file(),
        })
    }

    /// Returns the certificate of an operator: what is typed beats a context, and that the environment.
    fn identity_of(&self, chosen: Option<&Chosen>) -> Option<PathBuf> {
        let of_context = || chosen.and_then(|chosen| chosen.context.identity.clone());
        match self.sources.identity {
            Some(ValueSource::CommandLine) => self.identity_file(),
            _ => of_context().or_else(|| self.identity_file()),
        }
    }

    /// Returns these arguments with another file of the configuration.
    fn with_config_file(&self, file: PathBuf) -> Self {
        let sources = OptionSources { config: Some(ValueSource::CommandLine), context: None, ..self.sources };
        Self { config: Some(file), context: None, sources, ..self.clone() }
    }

    /// Loads the configuration for a command that says what to type next.
    fn configured(&self) -> anyhow::Result<ConfiguredHerd> {
        Ok(ConfiguredHerd::new(self.config()?, self.used_config_file()?))
    }

    /// Loads the configuration from the file, the environment and `--set`.
    fn config(&self) -> anyhow::Result<HerdConfig> {
        Ok(self.load(self.chosen()?.as_ref().map(|chosen| &chosen.context))?)
    }

    /// Loads the configuration for a command that starts nodes, which does so for the current context only if that is named.
    fn config_to_start(&self) -> anyhow::Result<HerdConfig> {
        let chosen = self.choice(FollowsCurrent::No)?;
        Ok(self.load(chosen.as_ref().map(|chosen| &chosen.context))?)
    }

    /// Loads the configuration of a context.
    fn config_of(&self, context: &Context) -> Result<HerdConfig, ConfigError> {
        self.load(Some(context))
    }

    /// Returns whether an option or the environment names a context.
    fn has_context(&self) -> bool {
        self.context.as_ref().is_some_and(|name| !name.is_empty())
    }

    /// Returns the context that a command uses which starts no node.
    fn chosen(&self) -> anyhow::Result<Option<Chosen>> {
        self.choice(FollowsCurrent::Yes)
    }

    fn choice(&self, follows_current: FollowsCurrent) -> anyhow::Result<Option<Chosen>> {
        let name = self.context.as_ref().filter(|name| !name.is_empty());
        let name = name.map(|name| ContextName::try_from(name.clone()).map_err(anyhow::Error::msg)).transpose()?;
        choose(NamedHerd {
            config: self.sources.config.filter(|_| self.config_file().is_some()),
            context: name.as_ref().zip(self.sources.context),
            follows_current,
        })
    }

    fn load(&self, context: Option<&Context>) -> Result<HerdConfig, ConfigError> {
        let variables = std::env::vars_os();
        let mut environment: Vec<(String, String)> =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        if let Some(directory) = context.and_then(|context| context.state_dir.as_ref()) {
            // Weaker than the environment, and stronger than the file.
            let value = toml::Value::String(directory.to_string_lossy().into_owned()).to_string();
            environment.insert(0, ("HERD__STATE_DIR".into(), value));
        }
        let file = match context {
            Some(context) => context.config.clone(),
            None => self.config_file(),
        };
        load(&Sources { file, environment, set: self.set.clone() })
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
