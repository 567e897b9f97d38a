//! Feed: replays a recorded track as the reports of one client, and checks the answers and the flood.
//!
//! Each point is sent as an `IAMAT` to one node, whose answer must have exactly the fields that were sent. Then every node is
//! polled until it shows that answer; the time this takes is the time of the flood. The next point waits for it, so that no
//! report is superseded while it is looked for.
//!
//! Knows nothing of links or of the logic on a node. Bounds: one connection per node, `Timeouts` for every answer, one sample
//! per point and node.

mod at_line;
mod client_clock;
mod due;
mod error;
mod node_addr;
mod poller;
mod report;
mod session;
mod speed;
mod timeouts;

use std::io::IsTerminal;
use std::pin::Pin;
use std::sync::Arc;

use herd_client::ClientTls;
use herd_sys::clock::unix_now;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::at_line::is_at_line;
use self::client_clock::ClientClock;
use self::due::due_after;
use self::poller::Poller;
use self::session::Session;
use self::speed::is_speed;
use self::timeouts::Timeouts;
use crate::track::{TrackPoint, format_location};

pub use self::error::FeedError;
pub use self::node_addr::NodeAddr;
pub use self::report::FeedReport;
pub use self::speed::parse_speed;

/// Track to replay, and the nodes to replay it to.
#[derive(Debug)]
pub struct Feed {
    /// Points, in order.
    pub points: Vec<TrackPoint>,
    /// Client id of the reports: one or more bytes, no white space.
    pub client: String,
    /// Speed as a multiple of the recorded one. 0: as fast as the herd answers. See [`parse_speed`].
    pub speed: f64,
    /// Node to send the reports to.
    pub to: NodeAddr,
    /// Nodes that must show each report, normally all of the herd.
    pub nodes: Vec<NodeAddr>,
    /// Settings of TLS, with which all nodes are connected. None: plain connections.
    pub tls: Option<ClientTls>,
    /// Draw progress on standard error, if that is a terminal.
    pub progress: bool,
}

/// Replays a track to its end. Wrong answers, and reports that a node did not show in time, are counted and are not errors; see
/// [`FeedReport::is_success`].
///
/// # Errors
///
/// See [`FeedError`].
///
/// Cancel safe: the replay ends with its connections and tasks. Reports sent until then stay in the herd.
pub fn feed(options: Feed) -> Pin<Box<dyn Future<Output = Result<FeedReport, FeedError>> + Send>> {
    // Boxed: the crate that awaits an async function compiles it, and the command line would compile all of the replay.
    Box::pin(replay(options, Timeouts::default()))
}

async fn replay(options: Feed, timeouts: Timeouts) -> Result<FeedReport, FeedError> {
    let Feed { points, client, speed, to, nodes, tls, progress } = options;
    if points.is_empty() {
        return Err(FeedError::NoPoints);
    }
    if client.is_empty() || client.bytes().any(is_white_space) {
        return Err(FeedError::ClientId { client });
    }
    if !is_speed(speed) {
        return Err(FeedError::Speed { speed });
    }

    let bar = progress_bar(points.len(), progress);
    let client: Arc<str> = client.into();
    let mut report = FeedReport::new(&client, &to.name);
    let mut reporter = Session::new(to.clone(), tls.clone(), timeouts.answer);
    let mut pollers: Vec<_> = nodes.into_iter().map(|node| Poller::new(node, tls.clone(), timeouts)).collect();
    for poller in &mut pollers {
        // Connected in advance, so that the first sample contains no connection attempt. A node that is down is tried again
        // with every point.
        let _ = poller.session.connect().await;
    }

    let start = Instant::now();
    let mut clock = ClientClock::default();
    for (index, (point, due)) in points.iter().zip(due_after(&points, speed)).enumerate() {
        sleep_until(start + due).await;
        let location = format_location(point.latitude_degrees, point.longitude_degrees);
        let time = clock.stamp(unix_now());
        report.sent += 1;
        let answer = reporter.report(&format!("IAMAT {client} {location} {time}")).await;
        let answered = Instant::now();
        let answer =
            answer.map_err(|source| FeedError::Unanswered { node: to.name.clone(), number: index + 1, source })?;
        if is_at_line(&answer, &to.name, &format!("{client} {location} {time}")) {
            report.accepted += 1;
            pollers = poll_all(pollers, &client, answer.into(), answered).await;
        } else {
            report.add_wrong(answer);
        }
        bar.inc(1);
        bar.set_message(format!("{} accepted, {} wrong", report.accepted, report.wrong));
    }
    bar.finish_and_clear();

    report.seconds = start.elapsed().as_secs_f64();
    report.nodes = pollers.into_iter().map(|poller| poller.into_report(report.accepted)).collect();
    Ok(report)
}

/// Polls all nodes at once until each shows a report or has run out of time.
///
/// In tasks of a set, which aborts them when it is dropped and passes a panic on.
async fn poll_all(pollers: Vec<Poller>, client: &Arc<str>, at_line: Arc<str>, answered: Instant) -> Vec<Poller> {
    let count = pollers.len();
    let mut tasks = JoinSet::new();
    for (index, mut poller) in pollers.into_iter().enumerate() {
        let (client, at_line) = (client.clone(), at_line.clone());
        tasks.spawn(async move {
            poller.poll(&client, &at_line, answered).await;
            (index, poller)
        });
    }
    let mut finished = tasks.join_all().await;
    debug_assert_eq!(finished.len(), count, "every task returns its poller");
    // Tasks finish in any order, and the report lists nodes in that of the caller.
    finished.sort_by_key(|(index, _)| *index);
    finished.into_iter().map(|(_, poller)| poller).collect()
}

/// Returns true for white space of the line protocol, which includes the vertical tab.
fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

fn progress_bar(points: usize, wanted: bool) -> ProgressBar {
    if !wanted || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:32} {pos}/{len} points, {msg} ({elapsed}, {eta} to go)";
    // The template is a constant; if it were ever wrong, the plain bar would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(points as u64), ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests;
