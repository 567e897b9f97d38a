//! Walks a recorded track through a herd as a client would, and checks what the herd answers.
//!
//! One point after the other: the place goes as an `IAMAT` to one node, whose answer must hold exactly the fields
//! that were sent; then every node is asked until it shows that answer, which is how long the flood took. The next
//! point waits for that, so no answer is overtaken while it is looked for. Knows nothing of links or of what a node
//! runs. Bounds: one connection per node, [`Waits`] for every answer, one sample per point and node.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

mod report;

pub use self::report::FeedReport;
use self::report::NodeReport;
use crate::client::{Client, ClientError, WhatsAtReply};
use crate::track::{TrackPoint, format_location};

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

/// A node, by the name it gives in `AT` lines and the address where it takes clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddr {
    /// The name, as in the configuration.
    pub name: String,
    /// The address for clients.
    pub addr: SocketAddr,
}

/// Why a walk could not begin or go on. Reports sent until then stay with the herd.
#[derive(Debug, Error)]
pub enum FeedError {
    /// There is nothing to walk.
    #[error("the track has no points")]
    NoPoints,
    /// The client id is empty or holds white space, which would make every line invalid.
    #[error("{client:?} is not a client id: it must not be empty nor hold white space")]
    ClientId {
        /// The id given.
        client: String,
    },
    /// The speed is negative, infinite or not a number.
    #[error("{speed} is not a speed: it must be 0 or more")]
    Speed {
        /// The speed given.
        speed: f64,
    },
    /// The node that takes the reports was not reached or did not answer, also not on a fresh connection.
    #[error("{node} did not answer report {number}")]
    Unanswered {
        /// The node's name.
        node: String,
        /// Which point, from 1.
        number: usize,
        /// What happened.
        source: ClientError,
    },
}

/// Reads a speed as the command line takes it: a number from 0, or `max`, which is 0.
///
/// # Errors
///
/// A message that says what would do.
pub fn parse_speed(text: &str) -> Result<f64, String> {
    if text == "max" {
        return Ok(0.0);
    }
    let speed = text.parse::<f64>().ok().filter(|speed| is_speed(*speed));
    speed.ok_or_else(|| "must be 0 or more (1: as recorded, 60: a minute a second), or max".to_owned())
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
    walk(options, Waits::default()).await
}

/// How long a walk waits for what may never come.
#[derive(Debug, Clone, Copy)]
struct Waits {
    /// For a connection, and for one answer.
    answer: Duration,
    /// For one report to be shown by one node.
    visible: Duration,
}

impl Default for Waits {
    /// Five seconds each: an answer takes microseconds, but one with places may wait for a source, and a flood may
    /// wait for a link that is being made again.
    fn default() -> Self {
        Waits { answer: Duration::from_secs(5), visible: Duration::from_secs(5) }
    }
}

async fn walk(options: Feed, waits: Waits) -> Result<FeedReport, FeedError> {
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
    let mut reporter = Session::new(to.clone(), waits.answer);
    let mut watchers: Vec<_> = nodes.into_iter().map(|node| Watcher::new(node, waits)).collect();
    for watcher in &mut watchers {
        // So that the first sample holds no connecting. A node that is down is tried again with every point.
        let _ = watcher.session.connect().await;
    }

    let start = Instant::now();
    let mut clock = ClientClock::default();
    for (index, (point, due)) in points.iter().zip(due_after(&points, speed)).enumerate() {
        sleep_until(start + due).await;
        let location = format_location(point.latitude_degrees, point.longitude_degrees);
        let time = clock.stamp(SystemTime::now());
        report.sent += 1;
        let answer = reporter.tell(&format!("IAMAT {client} {location} {time}")).await;
        let answered = Instant::now();
        let answer =
            answer.map_err(|source| FeedError::Unanswered { node: to.name.clone(), number: index + 1, source })?;
        if is_at_line(&answer, &to.name, &format!("{client} {location} {time}")) {
            report.accepted += 1;
            watchers = watch_all(watchers, &client, answer.into(), answered).await;
        } else {
            report.add_wrong(answer);
        }
        bar.inc(1);
        bar.set_message(format!("{} accepted, {} wrong", report.accepted, report.wrong));
    }
    bar.finish_and_clear();

    report.seconds = start.elapsed().as_secs_f64();
    report.nodes = watchers.into_iter().map(|watcher| watcher.into_report(report.accepted)).collect();
    Ok(report)
}

/// Waits for one report at all nodes at once.
///
/// Tasks of its own, not those of a node: the set ends all of them when it is dropped, and hands on a panic.
async fn watch_all(watchers: Vec<Watcher>, client: &Arc<str>, at_line: Arc<str>, answered: Instant) -> Vec<Watcher> {
    let count = watchers.len();
    let mut tasks = JoinSet::new();
    for (index, mut watcher) in watchers.into_iter().enumerate() {
        let (client, at_line) = (client.clone(), at_line.clone());
        tasks.spawn(async move {
            watcher.watch(&client, &at_line, answered).await;
            (index, watcher)
        });
    }
    let mut back = tasks.join_all().await;
    debug_assert_eq!(back.len(), count, "every task hands its watcher back");
    back.sort_by_key(|(index, _)| *index);
    back.into_iter().map(|(_, watcher)| watcher).collect()
}

/// A connection that is made again when it was lost.
struct Session {
    node: NodeAddr,
    timeout: Duration,
    client: Option<Client>,
}

impl Session {
    fn new(node: NodeAddr, timeout: Duration) -> Self {
        Session { node, timeout, client: None }
    }

    async fn connect(&mut self) -> Result<&mut Client, ClientError> {
        let client = match self.client.take().filter(Client::is_usable) {
            Some(client) => client,
            None => Client::connect(self.node.addr, self.timeout).await?,
        };
        Ok(self.client.insert(client))
    }

    /// Sends a report. A connection that turns out closed (an idle one, or one closed after the last reply) is made
    /// again once: the same report twice is the same report.
    async fn tell(&mut self, line: &str) -> Result<String, ClientError> {
        match self.connect().await?.tell(line).await {
            Err(ClientError::Closed { .. }) => self.connect().await?.tell(line).await,
            answer => answer,
        }
    }

    /// Whether the node shows the line as the client's.
    async fn shows(&mut self, client: &str, at_line: &str) -> Result<bool, ClientError> {
        Ok(match self.connect().await?.whats_at(client, 0.0, 0).await? {
            WhatsAtReply::Known(answer) => answer.at_line == at_line && answer.has_object(),
            WhatsAtReply::Invalid(_) => false,
        })
    }
}

/// Looks for the reports at one node.
struct Watcher {
    session: Session,
    wait: Duration,
    seen_after: Vec<Duration>,
    last_failure: Option<ClientError>,
}

impl Watcher {
    fn new(node: NodeAddr, waits: Waits) -> Self {
        let session = Session::new(node, waits.answer);
        Watcher { session, wait: waits.visible, seen_after: Vec::new(), last_failure: None }
    }

    /// Asks until the node shows the line or its time is over.
    async fn watch(&mut self, client: &str, at_line: &str, answered: Instant) {
        let deadline = answered + self.wait;
        let seen = timeout_at(deadline, async {
            let mut pause = ASK_PAUSE_MIN;
            loop {
                match self.session.shows(client, at_line).await {
                    Ok(true) => return Instant::now(),
                    Ok(false) => {}
                    Err(failure) => self.last_failure = Some(failure),
                }
                sleep(pause).await;
                pause = (pause * 2).min(ASK_PAUSE_MAX);
            }
        });
        if let Ok(seen) = seen.await {
            self.seen_after.push(seen - answered);
        }
    }

    fn into_report(self, accepted: u64) -> NodeReport {
        let failure = self.last_failure.map(|failure| failure.to_string());
        NodeReport::new(self.session.node.name, accepted, self.seen_after, failure)
    }
}

/// Gives the times of the reports: now, but always later than the one before, or the herd would drop the report.
#[derive(Default)]
struct ClientClock {
    last_ns: u128,
}

impl ClientClock {
    /// Returns POSIX seconds with nine decimals.
    fn stamp(&mut self, now: SystemTime) -> String {
        let now_ns = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.last_ns = now_ns.max(self.last_ns + 1);
        format!("{}.{:09}", self.last_ns / NANOS_PER_SECOND, self.last_ns % NANOS_PER_SECOND)
    }
}

/// When each point is due, counted from the first. Where the recording has no time or one that runs backwards, the
/// point is due with the one before it.
fn due_after(points: &[TrackPoint], speed: f64) -> Vec<Duration> {
    let mut due = Duration::ZERO;
    let mut last_ns = None;
    points
        .iter()
        .map(|point| {
            if let Some(time_ns) = point.time_ns {
                let recorded_ns = last_ns.map_or(0, |last_ns| time_ns - last_ns).max(0);
                last_ns = Some(last_ns.map_or(time_ns, |last_ns: i128| last_ns.max(time_ns)));
                if speed > 0.0 {
                    let seconds = recorded_ns as f64 / NANOS_PER_SECOND as f64 / speed;
                    due = due.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(DUE_MAX)).min(DUE_MAX);
                }
            }
            due
        })
        .collect()
}

/// Whether `line` is `AT <node> <skew> <fields>` with a skew of a sign, digits, a point and nine digits.
fn is_at_line(line: &str, node: &str, fields: &str) -> bool {
    let inner = line.strip_prefix("AT ").and_then(|rest| rest.strip_prefix(node)).and_then(|rest| {
        let skew = rest.strip_prefix(' ')?.strip_suffix(fields)?;
        skew.strip_suffix(' ')
    });
    let skew = inner.and_then(|skew| skew.strip_prefix(['+', '-'])).and_then(|skew| skew.split_once('.'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    skew.is_some_and(|(whole, fraction)| digits(whole) && digits(fraction) && fraction.len() == 9)
}

fn is_speed(speed: f64) -> bool {
    speed.is_finite() && speed >= 0.0
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

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The first pause between two looks at a node. Short against a flood over loopback, so that samples are not all
/// multiples of it; doubled up to [`ASK_PAUSE_MAX`].
const ASK_PAUSE_MIN: Duration = Duration::from_millis(1);

/// At this pace a node that is behind is asked twenty times a second.
const ASK_PAUSE_MAX: Duration = Duration::from_millis(50);

/// A year: the end of patience, far from what would overflow a clock.
const DUE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests;
