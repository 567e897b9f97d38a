//! The live screen: asks the nodes again and again, and shows what they answer.
//!
//! One task. Owns when nodes are asked; what is shown follows from [`HerdModel`] and [`View`]. Bound: one request a node at a time, so a
//! node that does not answer is asked again only when the client has given it up.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_admin::{AdminClient, AdminClientError, Endpoint};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::herd_model::HerdModel;
use super::page::draw;
use super::sort::Sort;
use super::take;
use super::terminal::{Terminal, keys};
use super::view::{Effect, View};
use crate::admin_herd::AdminHerd;
use crate::client_runtime::block_on;
use crate::herd_status::HerdStatus;
use crate::nodes::addressed;
use crate::signals::Signals;

/// Shows the nodes until somebody quits. Restores the terminal at every end but SIGKILL.
///
/// # Errors
///
/// No herd was started here, a name is unknown, or this process has no terminal.
pub(super) fn live(herd: &AdminHerd, names: &[String], every: Duration, sort: Sort) -> anyhow::Result<()> {
    let names = addressed(herd, names);
    let asking = Asking {
        herd,
        endpoints: herd.endpoints(names.iter().map(String::as_str))?,
        client: Rc::new(AdminClient::new()?),
        pending: vec![Pending::No; names.len()],
        requests: FuturesUnordered::new(),
    };
    let model = HerdModel::new(&herd.herd, &names);
    // Opened last: the errors before are lines of their own.
    let terminal = Terminal::open()?;
    block_on(Box::pin(run(asking, model, terminal, every, sort)))?
}

/// Requests to the nodes.
struct Asking<'a> {
    herd: &'a AdminHerd,
    endpoints: Vec<Endpoint>,
    client: Rc<AdminClient>,
    /// State of the request to each node.
    pending: Vec<Pending>,
    requests: FuturesUnordered<LocalBoxFuture<'a, (usize, Result<Value, AdminClientError>)>>,
}

/// State of the request to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    No,
    /// Under way since this moment.
    Since(Instant),
    /// Under way for so long that the node has been marked.
    Late,
}

async fn run(
    mut asking: Asking<'_>,
    mut model: HerdModel,
    mut terminal: Terminal,
    every: Duration,
    sort: Sort,
) -> anyhow::Result<()> {
    let mut view = View::new(sort);
    let mut keys = keys()?;
    let mut ends = Signals::new()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut rounds = interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut show_at = Instant::now();
    let mut is_shown = false;
    loop {
        let late_at = asking.late_at().map(|(_, at)| at).min();
        tokio::select! {
            biased;
            () = ends.next() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            key = keys.recv() => {
                // None: the terminal is gone.
                let Some(key) = key else { return Ok(()) };
                let rows: Vec<String> = model.rows(view.sort).into_iter().map(|row| row.name).collect();
                if view.press(key, &rows, terminal.size().1.saturating_sub(4)) == Effect::Quit {
                    return Ok(());
                }
                show_at = Instant::now();
                is_shown = false;
            }
            _ = resized.recv() => {
                show_at = Instant::now();
                is_shown = false;
            }
            () = sleep_until(show_at), if !is_shown => {
                let screen = draw(&model, &view, every, terminal.size());
                view.scrolled = screen.scrolled;
                terminal.show(&screen)?;
                is_shown = true;
            }
            Some((node, answer)) = asking.requests.next(), if !asking.requests.is_empty() => {
                asking.answered(&mut model, node, answer);
                // Those of the other nodes come within milliseconds.
                if is_shown {
                    show_at = Instant::now() + TOGETHER;
                    is_shown = false;
                }
            }
            () = until(late_at) => {
                asking.mark_late(&mut model);
                show_at = Instant::now();
                is_shown = false;
            }
            _ = rounds.tick() => asking.ask(),
        }
    }
}

impl Asking<'_> {
    /// Asks the nodes that are not being asked.
    fn ask(&mut self) {
        let now = Instant::now();
        let local = self.herd.local_endpoints().unwrap_or_default();
        // Of one round: what a node of this machine tells about others is as old as the round.
        let told = Rc::new(HerdStatus::by(local));
        for (node, endpoint) in self.endpoints.iter().enumerate() {
            if self.pending[node] != Pending::No {
                continue;
            }
            self.pending[node] = Pending::Since(now);
            let (told, client, endpoint) = (Rc::clone(&told), Rc::clone(&self.client), endpoint.clone());
            self.requests.push(Box::pin(async move { (node, told.of(&client, &endpoint).await) }));
        }
    }

    fn answered(&mut self, model: &mut HerdModel, node: usize, answer: Result<Value, AdminClientError>) {
        self.pending[node] = Pending::No;
        take(self.herd, model, node, &answer);
    }

    /// Returns the nodes that are being asked and not marked, each with the time at which it is late.
    fn late_at(&self) -> impl Iterator<Item = (usize, Instant)> {
        let asked = self.pending.iter().zip(&self.endpoints).enumerate();
        asked.filter_map(|(node, (pending, endpoint))| match pending {
            Pending::Since(asked) => Some((node, *asked + grace(endpoint))),
            Pending::No | Pending::Late => None,
        })
    }

    fn mark_late(&mut self, model: &mut HerdModel) {
        let now = Instant::now();
        let late: Vec<usize> = self.late_at().filter(|(_, at)| *at <= now).map(|(node, _)| node).collect();
        for node in late {
            let waited = grace(&self.endpoints[node]);
            model.missed(
                node,
                "no answer",
                &format!("no answer within {waited:?}; is its process stopped or overloaded?"),
            );
            self.pending[node] = Pending::Late;
        }
    }
}

/// Returns how long a node may take until it is shown as one that does not answer, although its answer still counts.
fn grace(endpoint: &Endpoint) -> Duration {
    // A node of this machine that asks the others waits for each of them.
    if endpoint.has_socket() || endpoint.is_member() { LATE } else { LATE_WHEN_TOLD }
}

/// Waits until a time; for ever without one. Cancel safe.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Time for an answer until its node is shown as silent. With the second between two rounds, somebody sees that within two. A node that
/// runs answers within milliseconds.
const LATE: Duration = Duration::from_millis(700);
const LATE_WHEN_TOLD: Duration = Duration::from_millis(2_500);
/// Wait for further answers before the screen is drawn.
const TOGETHER: Duration = Duration::from_millis(50);
