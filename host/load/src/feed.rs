//! Walks a recorded track through a herd as a client would, and checks what the herd answers.
//!
//! One point after the other: the place goes as an `IAMAT` to one node, whose answer must hold exactly the fields
//! that were sent; then every node is asked until it shows that answer, which is how long the flood took. The next
//! point timeouts for that, so no answer is overtaken while it is looked for. Knows nothing of links or of what a node
//! runs. Bounds: one connection per node, [`Timeouts`] for every answer, one sample per point and node.

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
use std::sync::Arc;

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

/// What to walk, and where.
#[derive(Debug)]
pub struct Feed {
    /// The points, in order.
    pub points: Vec<TrackPoint>,
    /// The client id to walk under: one or more bytes, none of them white space.
    pub client: String,
    /// How many times faster than recorded. 0: as fast as the herd answers. See [`parse_speed`].
    pub speed: f64,
    /// The node that takes the reports.
    pub to: NodeAddr,
    /// The nodes that must show each report, normally all of the herd.
    pub nodes: Vec<NodeAddr>,
    /// Whether to draw progress on standard error, if that is a terminal.
    pub progress: bool,
}

/// Walks the track to its end and says how it went. A wrong answer or a report that a node never shows is counted,
/// not an error: see [`FeedReport::is_success`].
///
/// # Errors
///
/// See [`FeedError`].
///
/// Cancel-safe: the walk just ends, and with it the connections and tasks.
pub async fn feed(options: Feed) -> Result<FeedReport, FeedError> {
    replay(options, Timeouts::default()).await
}

async fn replay(options: Feed, timeouts: Timeouts) -> Result<FeedReport, FeedError> {
    let Feed { points, client, speed, to, nodes, progress } = options;
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
    let mut reporter = Session::new(to.clone(), timeouts.answer);
    let mut pollers: Vec<_> = nodes.into_iter().map(|node| Poller::new(node, timeouts)).collect();
    for poller in &mut pollers {
        // So that the first sample holds no connecting. A node that is down is tried again with every point.
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

/// Timeouts for one report at all nodes at once.
///
/// Tasks of its own, not those of a node: the set ends all of them when it is dropped, and hands on a panic.
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
    let mut back = tasks.join_all().await;
    debug_assert_eq!(back.len(), count, "every task hands its poller back");
    back.sort_by_key(|(index, _)| *index);
    back.into_iter().map(|(_, poller)| poller).collect()
}

/// White space as the line protocol has it, which includes the vertical tab.
fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

fn progress_bar(points: usize, wanted: bool) -> ProgressBar {
    if !wanted || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:32} {pos}/{len} points, {msg} ({elapsed}, {eta} to go)";
    // The template is a constant; should it ever be wrong, the plain bar does.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(points as u64), ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests;
