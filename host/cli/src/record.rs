//! `herd record`: what can be done with a log of decisions beside replaying it.
//!
//! `[record]` in the configuration makes a node write one. Redaction reads a finished log, replaces names and positions in everything
//! that came from outside, and has the guests of the log decide again, so that the new log replays bit for bit. Works on files alone.
//! Bounds: one block in memory, and the names of the log.

use std::fs::OpenOptions;
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use herd_config::HerdConfig;
use herd_recording::{LogBlock, LogReader, LogWriter, LoggedCall, OwnedCall, Read, RecordedCall, Redactor};
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Found, Input, Report};

use super::replay::{Guests, ThreadReplayer, With, depends_on_time};

/// Arguments of `herd record`.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    #[command(subcommand)]
    command: RecordCommand,
}

#[derive(Debug, Subcommand)]
enum RecordCommand {
    /// Replace the names and positions of clients in a log, so that it can be given away.
    ///
    /// Equal names stay equal. The guests of the log decide again, so the new log replays bit for bit. Times, sessions, settings and
    /// names of nodes stay.
    Redact(RedactArgs),
}

/// Arguments of `herd record redact`.
#[derive(Debug, Args)]
struct RedactArgs {
    /// Log: a folder recordings/NODE of the state directory, or a file of it.
    #[arg(value_name = "LOG")]
    recording: PathBuf,
    /// File to write, which must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with a secret of at least 16 bytes: under one secret, equal names stay equal in several logs. Default: a random one.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Runs a command on a log.
pub(super) fn record(config: &HerdConfig, args: &RecordArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        RecordCommand::Redact(args) => redact(config, args),
    }
}

fn redact(config: &HerdConfig, args: &RedactArgs) -> anyhow::Result<ExitCode> {
    let mut log = LogReader::open(&args.recording)?;
    let mut redaction = Redaction {
        redactor: Redactor::new(key(args)?),
        guests: Guests::new(config.runtime.limits(), With::Recorded),
        replayers: vec![],
        decisions: 0,
        otherwise: 0,
    };
    let shown = || args.out.display().to_string();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out);
    let file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists; name another file, or remove it", shown())
        }
        file => file.with_context(shown)?,
    };
    if let Err(error) = redaction.write(&mut log, BufWriter::new(file)) {
        // Half a log would replay, and mislead.
        let _ = std::fs::remove_file(&args.out);
        return Err(error);
    }
    let Redaction { redactor, replayers, decisions, otherwise, .. } = &redaction;
    say!("{decisions} decisions and {} names redacted to {}", redactor.names(), shown());
    let missing: u64 = replayers.iter().map(|(_, replayer)| replayer.missing_reads()).sum();
    if *otherwise > 0 || missing > 0 {
        say!("the guests decide {otherwise} calls with other effects than before, and looked up {missing} other keys");
    }
    say!("look at it before you give it away: herd replay {} --decision NUMBER", shown());
    // A redaction that changes what a line means, as in a protocol with lengths, is no log of what happened.
    Ok(if *otherwise == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the key of the redaction.
fn key(args: &RedactArgs) -> anyhow::Result<[u8; 16]> {
    let Some(file) = &args.key_file else {
        let mut key = [0; 16];
        let random =
            std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut key));
        random.context("/dev/urandom")?;
        return Ok(key);
    };
    let secret = std::fs::read(file).with_context(|| file.display().to_string())?;
    if secret.len() < 16 {
        bail!("{} holds {} bytes; a secret has at least 16", file.display(), secret.len());
    }
    // The first half of the digest: 32 of its 64 digits.
    let digest = herd_model::Digest::of(&secret).to_string();
    Ok(u128::from_str_radix(&digest[..32], 16).context("a digest has 64 digits")?.to_be_bytes())
}

/// Redaction of one log.
struct Redaction {
    redactor: Redactor,
    guests: Guests,
    /// One for each generation of the current part of the log.
    replayers: Vec<(u64, ThreadReplayer)>,
    decisions: u64,
    /// Calls that are decided with other effects.
    otherwise: u64,
}

impl Redaction {
    fn write(&mut self, log: &mut LogReader, file: impl Write) -> anyhow::Result<()> {
        let (mut file, mut written) = (Some(file), None);
        while let Some(block) = log.next_block()? {
            match block {
                LogBlock::Context(mut context) => {
                    context.redacted = true;
                    self.redactor.keep(context.node.as_bytes());
                    // One file, whatever the segments were: their context is the same, or their runs were others.
                    match (file.take(), &mut written) {
                        (Some(file), _) => written = Some(LogWriter::start(file, &context)?),
                        (None, Some(log)) => log.context(&context)?,
                        (None, None) => {}
                    }
                    self.guests.enter(context)?;
                    self.replayers.clear();
                }
                LogBlock::Guest(generation, guest) => {
                    guest.commands.iter().for_each(|command| self.redactor.keep(command.as_bytes()));
                    if let Some(log) = &mut written {
                        log.guest(generation, &guest)?;
                    }
                    self.guests.add(generation, guest)?;
                }
                LogBlock::Calls(block) => {
                    let calls = block.calls().map(|call| self.call(call?)).collect::<anyhow::Result<Vec<_>>>()?;
                    if let Some(log) = &mut written {
                        log.calls(&calls)?;
                    }
                }
            }
        }
        if let Some(log) = written {
            log.finish()?;
        }
        Ok(())
    }

    fn call(&mut self, call: LoggedCall) -> anyhow::Result<LoggedCall> {
        let recorded = self.recorded(&call.recorded);
        let generation = call.generation;
        let index = match self.replayers.iter().position(|(known, _)| *known == generation.0) {
            Some(index) => index,
            None => {
                self.replayers.push((generation.0, self.guests.of(generation)?.replayer()));
                self.replayers.len() - 1
            }
        };
        let outcome = self.replayers[index].1.repeat(&recorded)?;
        self.decisions += call.decisions() as u64;
        match (&call.outcome, &outcome) {
            (Ok(before), Ok(after)) => {
                self.otherwise += u64::from(kinds(before) != kinds(after));
                for (before_fetch, after_fetch) in fetches(before).zip(fetches(after)) {
                    for (old, new) in before_fetch.into_iter().zip(after_fetch) {
                        self.redactor.decided_again(old, new);
                    }
                }
            }
            // Whether a deadline is missed again depends on the machine.
            (Err(fault), _) if depends_on_time(fault) => {}
            (before, after) => self.otherwise += u64::from(before.is_ok() != after.is_ok()),
        }
        Ok(LoggedCall { recorded, outcome, ..call })
    }

    fn recorded(&mut self, recorded: &RecordedCall) -> RecordedCall {
        let redactor = &mut self.redactor;
        let call = match &recorded.call {
            OwnedCall::Inputs(inputs) => {
                let inputs: Vec<_> = inputs.iter().map(|input| (redactor.input(input.bytes), input.mark)).collect();
                OwnedCall::Inputs(inputs.iter().map(|(bytes, mark)| Input { bytes, mark: *mark }).collect())
            }
            OwnedCall::Reports(reports) => {
                let reports = read_reports(reports.bytes(), reports.words());
                reports.iter().for_each(|report| redactor.keep(report.origin));
                let replaced: Vec<_> =
                    reports.iter().map(|one| (redactor.key(one.key), redactor.text(one.bytes))).collect();
                let both = reports.iter().zip(&replaced);
                let reports: Vec<_> = both.map(|(report, (key, bytes))| Report { key, bytes, ..*report }).collect();
                OwnedCall::Reports(reports.iter().collect())
            }
            OwnedCall::Answer { token, otherwise, answer } => OwnedCall::Answer {
                token: redactor.token(token),
                otherwise: redactor.token(otherwise),
                answer: redactor.answer(answer),
            },
        };
        let read = |read: &Read| {
            let key = redactor.key(&read.key);
            let found = read.found.as_ref();
            let found = found.map(|found| Found { bytes: redactor.text(&found.bytes), ..found.clone() });
            Read { key, found }
        };
        let reads = recorded.reads.iter().map(read).collect();
        RecordedCall { at: recorded.at, call, reads }
    }
}

/// Kinds of the effects of a decision, in their order.
fn kinds(decision: &Decision) -> Vec<std::mem::Discriminant<Effect>> {
    decision.effects.iter().map(|effect| std::mem::discriminant(&effect)).collect()
}

/// Token and fallback reply of each fetch of a decision.
fn fetches(decision: &Decision) -> impl Iterator<Item = [&[u8]; 2]> {
    decision.effects.iter().filter_map(|effect| match effect {
        Effect::Fetch(fetch) => Some([fetch.token, fetch.otherwise].map(|span| decision.bytes(span))),
        _ => None,
    })
}
