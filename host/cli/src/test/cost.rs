//! `--cost`: what a guest's calls take, by command.
//!
//! Owns the measurement: instructions and memory on an engine that counts fuel, which are the same on every machine, and time on the
//! engine of a node, which is not. Knows nothing of tables and budgets. Bounds: [`COMMANDS_MAX`] commands; the transcripts.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use herd_audit::sanitize;
use herd_runtime::{CallCost, ComponentDecider, Engine, Limits, Warmth};
use herd_sdk::native::{Decider, Fault, MemoryRecords};
use herd_sdk::transcript::Transcript;
use herd_sdk::{Decision, InputBatch, Moment, Outcome as FetchOutcome, Reports, Settings};

use super::super::guest_file::read_guest;
use super::TestArgs;
use super::budget::Budget;
use super::command_cost::Costs;
use super::cost_table::{beside, table};
use super::report::Outcome;

/// Measures, prints, and compares with a budget.
///
/// # Errors
///
/// A guest, a transcript or the budget cannot be read or written.
pub(super) fn cost(limits: Limits, args: &TestArgs) -> anyhow::Result<Outcome> {
    let budget = match &args.budget {
        // One that is written anew keeps its tolerance, so a file that is no budget is not replaced.
        Some(path) if !args.bless || path.exists() => Some(Budget::read(path)?),
        None if args.bless => anyhow::bail!("--cost --bless writes a budget: name its file with --budget"),
        _ => None,
    };
    let (files, _) = args.files()?;
    let transcripts =
        files.iter().map(|file| Ok(Transcript::parse(&file.name, &file.text)?.comparing(args.compared())));
    let transcripts = transcripts.collect::<anyhow::Result<Vec<Transcript>>>()?;
    let costs = of_guest(limits, &args.guest, &transcripts)?;
    match &args.against {
        Some(path) => say_on!("{}", beside(&costs, &of_guest(limits, path, &transcripts)?)),
        None => say_on!("{}", table(&costs)),
    }
    // A command of a transcript that was left out keeps its budget, and is not held to it.
    let is_part = !args.only.is_empty();
    if args.bless
        && let Some(path) = &args.budget
    {
        let measured = Budget::of(&costs, budget.as_ref());
        let budget = match budget {
            Some(before) if is_part => measured.with_others_of(before),
            _ => measured,
        };
        std::fs::write(path, budget.text()).with_context(|| path.display().to_string())?;
        say!("wrote the budget {}", path.display());
        return Ok(Outcome::AllHold);
    }
    let budget = budget.map(|budget| if is_part { budget.of_measured(&costs) } else { budget });
    let excesses = budget.map(|budget| budget.excesses(&costs)).unwrap_or_default();
    excesses.iter().for_each(|excess| say!("over budget: {excess}"));
    Ok(if excesses.is_empty() { Outcome::AllHold } else { Outcome::SomeFail })
}

fn of_guest(limits: Limits, path: &Path, transcripts: &[Transcript]) -> anyhow::Result<Costs> {
    let guest = read_guest(path)?;
    let (costs, differing) = measure(limits, &guest, transcripts).with_context(|| path.display().to_string())?;
    if differing > 0 {
        say!(
            "{}: {differing} of {} transcripts do not hold; these are the costs of what the guest did",
            path.display(),
            transcripts.len()
        );
    }
    Ok(costs)
}

/// Measures the calls of all transcripts. Also returns the number of transcripts that do not hold.
fn measure(limits: Limits, guest: &[u8], transcripts: &[Transcript]) -> anyhow::Result<(Costs, usize)> {
    let (counting, serving) = (Engine::for_simulation(limits, 1)?, Engine::new(limits)?);
    let _compiled = (counting.keep_compiled(guest, None)?, serving.keep_compiled(guest, None)?);
    let (mut costs, mut differing) = (Costs::new(), 0);
    for transcript in transcripts {
        let of = |engine, warmth| calls(engine, guest, transcript, warmth);
        let (mut warm, holds) = of(&counting, Warmth::Warm)?;
        differing += usize::from(!holds);
        // The memory of an instance that made all calls so far would be that of the dearest.
        let (fresh, _) = of(&counting, Warmth::Fresh)?;
        for (call, fresh) in warm.iter_mut().zip(fresh) {
            call.cost =
                call.cost.zip(fresh.cost).map(|(warm, fresh)| CallCost { memory_bytes: fresh.memory_bytes, ..warm });
            call.took = Duration::MAX;
        }
        for _ in 0..ROUNDS {
            for (call, timed) in warm.iter_mut().zip(of(&serving, Warmth::Warm)?.0) {
                call.took = call.took.min(timed.took);
            }
        }
        warm.iter().for_each(|call| add(&mut costs, call));
    }
    Ok((costs, differing))
}

fn add(costs: &mut Costs, call: &MeasuredCall) {
    let Some(CallCost { instructions, memory_bytes }) = call.cost else { return };
    let is_full = costs.len() >= COMMANDS_MAX && !costs.contains_key(&call.command);
    let command = if is_full { "(others)" } else { &call.command };
    let cost = costs.entry(command.into()).or_default();
    cost.lines += call.lines;
    cost.instructions += instructions;
    cost.most = cost.most.max(instructions.div_ceil(call.lines.max(1)));
    cost.memory_bytes = cost.memory_bytes.max(memory_bytes);
    cost.took += call.took;
}

/// Runs a transcript. Returns its calls in order, and whether it holds.
fn calls(
    engine: &Arc<Engine>,
    guest: &[u8],
    transcript: &Transcript,
    warmth: Warmth,
) -> anyhow::Result<(Vec<MeasuredCall>, bool)> {
    let calls = Rc::new(RefCell::new(vec![]));
    let run = transcript.run_herd(|settings: &Settings, records: Arc<MemoryRecords>| {
        let decider = ComponentDecider::load(engine, guest, settings.clone(), records, warmth)?;
        Ok::<_, herd_runtime::LoadError>(MeasuredDecider { decider, calls: Rc::clone(&calls) })
    })?;
    Ok((calls.take(), run.passed()))
}

struct MeasuredCall {
    command: String,
    lines: u64,
    cost: Option<CallCost>,
    took: Duration,
}

/// Decider that notes what each call takes.
struct MeasuredDecider {
    decider: ComponentDecider,
    calls: Rc<RefCell<Vec<MeasuredCall>>>,
}

impl MeasuredDecider {
    fn measure(
        &mut self,
        (command, lines): (String, u64),
        decide: impl FnOnce(&mut ComponentDecider) -> Result<Decision, Fault>,
    ) -> Result<Decision, Fault> {
        let began = Instant::now();
        let decided = decide(&mut self.decider);
        let took = began.elapsed();
        self.calls.borrow_mut().push(MeasuredCall { command, lines, cost: self.decider.cost(), took });
        decided
    }
}

impl Decider for MeasuredDecider {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        let label = label(inputs.bytes(), &self.decider.description().commands);
        self.measure(label, |decider| decider.inputs(at, inputs))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        self.measure(("(reports)".into(), reports.len() as u64), |decider| decider.reports(at, reports))
    }

    fn answer(
        &mut self,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: FetchOutcome<'_>,
    ) -> Result<Decision, Fault> {
        self.measure(("(answers)".into(), 1), |decider| decider.answer(at, token, otherwise, outcome))
    }
}

/// Returns the command of the lines of an input, and their number. What the guest does not describe is `(invalid)`, unless it describes
/// nothing.
///
/// A protocol whose messages have several lines each, such as that of redis, has its commands in lines of their own, and counts these.
fn label(bytes: &[u8], described: &[String]) -> (String, u64) {
    if let Some(label) = framed_label(bytes, described) {
        return label;
    }
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let command = |line: &[u8]| {
        let word = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        // A transcript of malformed lines may hold what controls a terminal, and the word becomes a row of a table.
        let word = sanitize(&String::from_utf8_lossy(&word[..word.len().min(COMMAND_BYTES_MAX)]));
        if described.is_empty() || described.contains(&word) { word } else { "(invalid)".into() }
    };
    let mut commands: Vec<String> = lines.map(command).collect();
    let count = commands.len().max(1) as u64;
    commands.dedup();
    match &mut *commands {
        [] => ("(invalid)".into(), 1),
        [command] => (std::mem::take(command), count),
        _ => ("(several)".into(), count),
    }
}

/// Returns the command of an input that starts with what frames it, such as `*3`, and the number of its messages.
fn framed_label(bytes: &[u8], described: &[String]) -> Option<(String, u64)> {
    if bytes.first().is_none_or(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace()) {
        return None;
    }
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let command = |line: &[u8]| described.iter().find(|command| command.as_bytes().eq_ignore_ascii_case(line));
    let mut commands: Vec<&String> = lines.filter_map(command).collect();
    let count = commands.len() as u64;
    commands.dedup();
    match *commands {
        [] => None,
        [command] => Some((command.clone(), count)),
        _ => Some(("(several)".into(), count)),
    }
}

/// Repetitions for the time of a call, of which the shortest counts: the others contain what else the machine did.
const ROUNDS: usize = 5;
/// Rows of a table. A protocol has some dozens of commands.
const COMMANDS_MAX: usize = 100;
const COMMAND_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_counted_for_the_command_of_a_call() {
        let label = |bytes: &str, described: &[&str]| {
            label(bytes.as_bytes(), &described.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(label("IAMAT a\nIAMAT b\n", &["IAMAT"]), ("IAMAT".into(), 2));
        assert_eq!(label("IAMAT a\nWHATSAT b\n", &["IAMAT"]), ("(several)".into(), 2));
        assert_eq!(label("PUT a\n", &["IAMAT"]), ("(invalid)".into(), 1));
        assert_eq!(label("PUT a\n", &[]), ("PUT".into(), 1));
        assert_eq!(label("\n", &[]), ("(invalid)".into(), 1));
        let set = "*3\r\n$3\r\nset\r\n$4\r\nkiwi\r\n$2\r\n+1\r\n";
        assert_eq!(label(set, &["GET", "SET"]), ("SET".into(), 1));
        assert_eq!(label(&set.repeat(2), &["GET", "SET"]), ("SET".into(), 2));
        let get = "*2\r\n$3\r\nGET\r\n$4\r\nkiwi\r\n";
        assert_eq!(label(&format!("{set}{get}"), &["GET", "SET"]), ("(several)".into(), 2));
        assert_eq!(label("?x\n", &["IAMAT"]), ("(invalid)".into(), 1));
    }

    #[test]
    fn cost_of_a_line_is_rounded_up() {
        let mut costs = Costs::new();
        let cost = |instructions| Some(CallCost { instructions, memory_bytes: instructions as usize });
        let call = |lines, instructions| MeasuredCall {
            command: "A".into(),
            lines,
            cost: cost(instructions),
            took: Duration::from_micros(3),
        };
        add(&mut costs, &call(2, 11));
        add(&mut costs, &call(1, 5));
        let cost = costs["A"];
        assert_eq!((cost.instructions_per_line(), cost.most, cost.memory_bytes), (6, 6, 11));
        assert!((cost.us_per_line() - 2.0).abs() < 1e-9);
    }
}
