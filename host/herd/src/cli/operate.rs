//! `herd swap` and `herd rollback`, and how nodes are asked: by way of their admin API.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::canary;
use super::check::transcripts;
use super::client_runtime;
use super::nodes::NodesArgs;
use super::shadow;
use super::watch::{self, Target};
use crate::DEFAULT_GUEST;
use crate::config::HerdConfig;
use herd_admin::{AdminClient, AdminClientError, Refusal, ShareWish, SwapOptions, Token};
use herd_model::Share;
use herd_runtime::with_transcripts;
use herd_sys::state_directory;

/// Arguments of `herd swap`.
#[derive(Debug, Args)]
pub(super) struct SwapArgs {
    /// The component, built for wasm32-wasip2.
    #[arg(required_unless_present_any = ["report", "built_in"])]
    guest: Option<PathBuf>,
    /// The guest that is built into this binary, in place of a file.
    #[arg(long, conflicts_with_all = ["guest", "watch"])]
    built_in: bool,
    /// Transcripts (*.herd) that it has to hold before it serves, or directories of them, in place of those inside it.
    #[arg(long, value_name = "FILE")]
    transcripts: Vec<PathBuf>,
    /// Also if this guest failed its probation before.
    #[arg(long)]
    again: bool,
    /// Without rehearsing on the last decisions of the nodes.
    #[arg(long)]
    unrehearsed: bool,
    /// Only if the logic before it can read the records that this guest writes, so that there is a way back.
    #[arg(long)]
    reversible: bool,
    /// Serves a share of the sessions, 1% to 100%, and the same ones for as long as they last. See `herd canary`.
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    canary: Option<Share>,
    /// Serves nobody yet: decides this share of the calls too, 1% to 100%, and counts what it would have decided in
    /// another way. See `herd shadow report`.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "100%")]
    shadow: Option<Share>,
    /// With --shadow and no guest: shows what the shadow that is on has found, as `herd shadow report` does.
    #[arg(long, requires = "shadow", conflicts_with_all = ["guest", "built_in"])]
    report: bool,
    /// Swaps now and whenever the content of the file changes, until it is interrupted.
    #[arg(long, conflicts_with_all = ["transcripts", "canary", "shadow", "node", "json"])]
    watch: bool,
    /// Only this node, for as long as the herd does not swap. May be given several times. Without it: every node of the herd
    /// or none; one that is absent takes it up when it is back.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Prints what the nodes say, as JSON.
    #[arg(long)]
    json: bool,
}

/// What each node answered.
pub(super) type Answers = Vec<(String, Result<Value, AdminClientError>)>;

/// Replaces the logic.
pub(super) fn swap(config: &HerdConfig, args: &SwapArgs) -> anyhow::Result<ExitCode> {
    if args.report {
        return shadow::report(config, &args.node, args.json);
    }
    let wish = SwapOptions { again: args.again, unrehearsed: args.unrehearsed, reversible: args.reversible };
    let mut guest = match &args.guest {
        Some(path) if args.watch => {
            watch::follow(path, There::new(config, wish)?);
            return Ok(ExitCode::SUCCESS);
        }
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
        None => DEFAULT_GUEST.into(),
    };
    if !args.transcripts.is_empty() {
        let texts = transcripts(&args.transcripts)?.into_iter().map(|(name, _, text)| (name, text));
        guest = with_transcripts(&guest, &texts.collect());
    }
    if let Some(share) = args.shadow {
        return shadow::begin(config, &args.node, &guest, ShareWish { share, swap: wish }, args.json);
    }
    if let Some(share) = args.canary {
        return canary::begin(config, &args.node, &guest, ShareWish { share, swap: wish }, args.json);
    }
    if args.node.is_empty() {
        let swapped = ask_one(config, async |client, node| client.herd_swap(node, guest.clone(), wish).await)?;
        return herd_told(&swapped, args.json, "serving");
    }
    let answers = ask_each(config, &args.node, async |client, node| client.swap(node, guest.clone(), wish).await)?;
    told(&answers, args.json, "serving")
}

/// Goes back.
pub(super) fn rollback(config: &HerdConfig, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    if args.node.is_empty() {
        let went_back = ask_one(config, async |client, node| client.herd_roll_back(node).await)?;
        return herd_told(&went_back, args.json, "serving again");
    }
    let answers = ask_each(config, &args.node, async |client, node| client.roll_back(node).await)?;
    told(&answers, args.json, "serving again")
}

/// Says what came of a swap of the herd at each node. A node that is absent is no failure: it hears of it when it is back.
pub(super) fn herd_told(answer: &Value, as_json: bool, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        say!("{}", serde_json::to_string_pretty(answer)?);
    }
    let digest = short(&answer["digest"]);
    let mut back: Vec<String> = Vec::new();
    for (name, outcome) in answer["nodes"].as_object().into_iter().flatten() {
        let line = match outcome.as_str() {
            Some("absent") => "absent; takes it up when it is back".into(),
            Some(_) => "takes it up, and has not said yet that it serves".into(),
            None if outcome["back"].is_string() => {
                back.push(format!("{name}: {}", text(&outcome["back"])));
                continue;
            }
            None => {
                let serving = &outcome["serving"];
                format!("generation {} ({digest}) {what}, {}", text(&serving["generation"]), text(&serving["name"]))
            }
        };
        if !as_json {
            say!("{name}: {line}");
        }
    }
    success_without(&back)
}

pub(super) fn told(answers: &Answers, as_json: bool, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        return print_json(answers);
    }
    for (name, answer) in answers {
        if let Ok(answer) = answer {
            let active = &answer["active"];
            say!("{name}: generation {} {what}, {}", generation(active), text(&active["name"]));
        }
    }
    failures(answers)
}

/// Asks the first node that answers.
pub(super) fn ask_one(
    config: &HerdConfig,
    ask: impl AsyncFn(&AdminClient, std::net::SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let token = Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    let client = AdminClient::new(token)?;
    client_runtime()?.block_on(ask_with(&client, config, ask))
}

async fn ask_with(
    client: &AdminClient,
    config: &HerdConfig,
    ask: impl AsyncFn(&AdminClient, std::net::SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    for name in config.node_names() {
        match ask(client, config.node(name)?.admin_address()).await {
            Err(AdminClientError::Unreachable(_)) => {}
            answer => return Ok(answer?),
        }
    }
    bail!("no node of the herd answers; are they running?")
}

/// A herd that is asked from outside to swap, again and again.
struct There<'a> {
    config: &'a HerdConfig,
    wish: SwapOptions,
    client: AdminClient,
    runtime: Runtime,
}

impl<'a> There<'a> {
    fn new(config: &'a HerdConfig, wish: SwapOptions) -> anyhow::Result<Self> {
        let client = AdminClient::new(Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?)?;
        Ok(Self { config, wish: SwapOptions { again: true, ..wish }, client, runtime: client_runtime()? })
    }
}

impl Target for There<'_> {
    fn serving(&self, digest: &str) -> Option<u64> {
        let asked = self.config.nodes.values().map(|node| self.client.status(node.admin_address()));
        let answers = self.runtime.block_on(join_all(asked));
        let serving = |answer: &Result<Value, AdminClientError>| {
            let active = &answer.as_ref().ok()?["generations"]["active"];
            active["id"].as_u64().filter(|_| active["digest"] == digest)
        };
        answers.iter().map(serving).reduce(Option::and).flatten()
    }

    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal> {
        let wish = self.wish;
        let asked = ask_with(&self.client, self.config, async |client, node| {
            client.herd_swap(node, guest.to_vec(), wish).await
        });
        let asked = self.runtime.block_on(asked);
        asked.map_err(|error| match error.downcast_ref() {
            Some(AdminClientError::Busy(why)) => Refusal::Busy(why.clone()),
            _ => Refusal::BadGuest(error.to_string()),
        })
    }

    fn nodes(&self) -> usize {
        self.config.nodes.len()
    }
}

/// Asks the nodes that are named, or all.
pub(super) fn ask_each(
    config: &HerdConfig,
    names: &[String],
    ask: impl AsyncFn(&AdminClient, std::net::SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Answers> {
    let mut names = names.to_vec();
    if names.is_empty() {
        names = config.node_names().into_iter().map(ToString::to_string).collect();
    }
    let mut admins = Vec::new();
    for name in names {
        let admin = config.node(&name)?.admin_address();
        admins.push((name, admin));
    }
    let token = Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    let client = AdminClient::new(token)?;
    let asking = admins.into_iter().map(async |(name, admin)| {
        let answer = ask(&client, admin).await;
        (name, answer)
    });
    Ok(client_runtime()?.block_on(join_all(asking)))
}

pub(super) fn print_json(answers: &Answers) -> anyhow::Result<ExitCode> {
    let nodes: serde_json::Map<String, Value> = answers
        .iter()
        .map(|(name, answer)| {
            let value = answer.as_ref().map_or_else(|error| json!({ "error": error.to_string() }), Clone::clone);
            (name.clone(), value)
        })
        .collect();
    say!("{}", serde_json::to_string_pretty(&nodes)?);
    Ok(if answers.iter().all(|(_, answer)| answer.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Success if every node answered.
pub(super) fn failures(answers: &Answers) -> anyhow::Result<ExitCode> {
    let failed: Vec<String> =
        answers.iter().filter_map(|(name, answer)| Some(format!("{name}: {}", answer.as_ref().err()?))).collect();
    success_without(&failed)
}

/// Success if nothing failed, or else what did, a line each.
fn success_without(failed: &[String]) -> anyhow::Result<ExitCode> {
    match failed {
        [] => Ok(ExitCode::SUCCESS),
        [one] => bail!("{one}"),
        many => bail!("\n  {}", many.join("\n  ")),
    }
}

pub(super) fn generation(generation: &Value) -> String {
    format!("{} ({})", text(&generation["id"]), short(&generation["digest"]))
}

pub(super) fn short(digest: &Value) -> String {
    text(digest).chars().take(8).collect()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToString::to_string)
}
