//! Execution of a load: threads, each with its share of the connections.
//!
//! Each thread has a runtime and counters of its own, so that threads share nothing while they measure.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use super::commands::Commands;
use super::connection::Connection;
use super::counters::Counters;
use super::pacer::{self, Schedule};
use super::plan::{Loop, Plan};
use super::report::BenchReport;

/// A load cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A number of the plan is 0: `targets`, `connections`, `pipeline`, `rate`, `clients`, `threads` or `duration`. Nothing was
    /// sent.
    #[error("nothing to measure: {0} is 0; it must be more")]
    Nothing(&'static str),
    /// A connection per command was combined with open loop or pipelining. Nothing was sent.
    #[error("a connection per command excludes a rate and more than one command in flight")]
    Contradiction,
    /// The system refused a thread or its runtime. Threads that run already end with the load.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// Runs a load to its end: warm-up, duration, and at most fifteen seconds for the last answers. Blocks. `progress` is called with
/// the fraction that is done.
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use std::time::Duration;
///
/// use herd_load::bench::{Distribution, Loop, Mix, Plan, Target, run};
///
/// // A stand-in for a node.
/// let node = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = node.local_addr()?;
/// std::thread::spawn(move || {
///     let (mut session, _) = node.accept().unwrap();
///     for line in BufReader::new(session.try_clone().unwrap()).lines().map_while(Result::ok) {
///         let _ = writeln!(session, "{}", line.replace("IAMAT", "AT Riley +0.000000001"));
///     }
/// });
///
/// let plan = Plan {
///     targets: vec![Target { name: None, address }],
///     connections: 1,
///     mode: Loop::Closed { pipeline: 1 },
///     connection_per_command: false,
///     mix: Mix::default(),
///     clients: 100,
///     distribution: Distribution::Uniform,
///     threads: 1,
///     tls: None,
///     warm_up: Duration::ZERO,
///     duration: Duration::from_millis(100),
/// };
/// let report = run(&plan, None)?;
/// assert!(report.is_clean() && report.answers > 0, "{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`BenchError`].
///
/// # Panics
///
/// A thread of the load panicked.
pub fn run(plan: &Plan, progress: Option<&(dyn Fn(f64) + Sync)>) -> Result<BenchReport, BenchError> {
    check(plan)?;
    let one_at_a_time = matches!(plan.mode, Loop::Closed { pipeline: 1 });
    if plan.connection_per_command && !one_at_a_time {
        return Err(BenchError::Contradiction);
    }
    let threads = plan.threads.min(plan.connections);
    let began = Instant::now();
    let schedules: Option<Vec<Schedule>> = match plan.mode {
        Loop::Open { rate } => Some(pacer::schedules(plan.connections, rate, began + OPEN_BEGINS_AFTER)),
        Loop::Closed { .. } => None,
    };
    let pacing = schedules.clone().map(|schedules| {
        let end = began + plan.warm_up + plan.duration;
        std::thread::Builder::new().name("herd-pacer".into()).spawn(move || pacer::run(&schedules, end))
    });
    let pacing = pacing.transpose().map_err(BenchError::Thread)?;
    let left = Arc::new(AtomicU64::new(threads as u64));
    let mut running = Vec::new();
    for thread in 0..threads {
        let (plan, left, schedules) = (plan.clone(), Arc::clone(&left), schedules.clone());
        let builder = std::thread::Builder::new().name("herd-bench".into());
        let spawned = builder.spawn(move || {
            let counters = share(&plan, thread, threads, began, schedules.as_deref());
            left.fetch_sub(1, Ordering::Relaxed);
            counters
        });
        running.push(spawned.map_err(BenchError::Thread)?);
    }
    let whole = plan.warm_up + plan.duration;
    while left.load(Ordering::Relaxed) > 0 {
        if let Some(progress) = progress {
            progress((began.elapsed().as_secs_f64() / whole.as_secs_f64()).min(1.0));
        }
        std::thread::sleep(PROGRESS);
    }
    if let Some(pacing) = pacing {
        pacing.join().expect("the pacer does not panic");
    }
    let mut counters = Counters::new();
    for thread in running {
        counters.add(thread.join().expect("a thread of the load does not panic")?);
    }
    Ok(BenchReport::of(counters, plan))
}

/// Refuses a plan that would measure nothing, or something else than it says.
fn check(plan: &Plan) -> Result<(), BenchError> {
    let (pipeline, rate) = match plan.mode {
        Loop::Closed { pipeline } => (pipeline, 1.0),
        Loop::Open { rate } => (1, rate),
    };
    let zeros = [
        ("targets", plan.targets.is_empty()),
        ("connections", plan.connections == 0),
        ("pipeline", pipeline == 0),
        ("rate", rate <= 0.0 || rate.is_nan()),
        ("clients", plan.clients == 0),
        ("threads", plan.threads == 0),
        ("duration", plan.duration.is_zero()),
    ];
    match zeros.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((number, _)) => Err(BenchError::Nothing(number)),
        None => Ok(()),
    }
}

/// Runs the connections of one thread.
fn share(
    plan: &Plan,
    thread: usize,
    threads: usize,
    began: Instant,
    schedules: Option<&[Schedule]>,
) -> Result<Counters, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::Thread)?;
    let counters = Rc::new(RefCell::new(Counters::new()));
    let local = LocalSet::new();
    let end = began + plan.warm_up + plan.duration;
    for index in (thread..plan.connections).step_by(threads) {
        let target = &plan.targets[index % plan.targets.len()];
        let connection = Connection {
            address: target.address,
            tls: plan.tls.clone(),
            pipeline: if let Loop::Closed { pipeline } = plan.mode { pipeline } else { 0 },
            schedule: schedules.map(|schedule| schedule[index].clone()),
            per_command: plan.connection_per_command,
            commands: Commands::new(plan.mix, plan.clients, plan.distribution, index as u64),
            measure_from: began + plan.warm_up,
            end,
            stagger: STAGGER * u32::try_from(index / threads).unwrap_or(u32::MAX),
        };
        let (counters, target) = (Rc::clone(&counters), target.to_string());
        local.spawn_local(async move {
            if let Err(error) = connection.run(&counters).await {
                *counters.borrow_mut().broken.entry(format!("{target}: {error}")).or_default() += 1;
            }
        });
    }
    runtime.block_on(local);
    Ok(Rc::into_inner(counters).map_or_else(Counters::new, RefCell::into_inner))
}

/// Interval between calls of `progress`.
const PROGRESS: Duration = Duration::from_millis(50);
/// Delay between two connections of a thread, so that a thousand of them do not arrive at once.
const STAGGER: Duration = Duration::from_micros(200);
/// Delay of the first command in open loop, for connections to be established.
const OPEN_BEGINS_AFTER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::super::commands::{Distribution, Mix};
    use super::super::plan::Target;
    use super::*;

    #[test]
    fn bench_of_nothing_is_refused() {
        let plan = Plan {
            targets: vec![Target { name: None, address: ([127, 0, 0, 1], 9).into() }],
            connections: 1,
            mode: Loop::Closed { pipeline: 1 },
            connection_per_command: false,
            mix: Mix::default(),
            clients: 1,
            distribution: Distribution::Uniform,
            threads: 1,
            tls: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(1),
        };
        let problem = |change: fn(&mut Plan)| {
            let mut plan = plan.clone();
            change(&mut plan);
            run(&plan, None).map(|report| report.answers).unwrap_err().to_string()
        };
        let expected = |number| format!("nothing to measure: {number} is 0; it must be more");
        assert_eq!(problem(|plan| plan.targets.clear()), expected("targets"));
        assert_eq!(problem(|plan| plan.connections = 0), expected("connections"));
        assert_eq!(problem(|plan| plan.mode = Loop::Closed { pipeline: 0 }), expected("pipeline"));
        assert_eq!(problem(|plan| plan.mode = Loop::Open { rate: 0.0 }), expected("rate"));
        assert_eq!(problem(|plan| plan.clients = 0), expected("clients"));
        assert_eq!(problem(|plan| plan.threads = 0), expected("threads"));
        assert_eq!(problem(|plan| plan.duration = Duration::ZERO), expected("duration"));
    }
}
