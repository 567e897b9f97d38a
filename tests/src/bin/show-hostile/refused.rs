//! Attacks on every port of a node: each is refused and counted by reason, and clients notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::bench::{Bench, highest_rate};
use herd_tests::{Bar, Reporter, Rounds, Row};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::attacks::{self, Attack, Port};
use crate::open_files;
use crate::scene::Scene;

pub(crate) const ROW: Row = Row {
    name: "refused",
    figures: &[
        Bar { figure: "no certificate", bar: REFUSED },
        Bar { figure: "self-signed", bar: REFUSED },
        Bar { figure: "another herd's", bar: REFUSED },
        Bar { figure: "another authority's", bar: REFUSED },
        Bar { figure: "expired", bar: REFUSED },
        Bar { figure: "revoked", bar: REFUSED },
        Bar { figure: "another node's name", bar: REFUSED },
        Bar { figure: "second link as a node that is up", bar: REFUSED },
        Bar { figure: "plain text", bar: REFUSED },
        Bar { figure: "TLS 1.2", bar: REFUSED },
        Bar { figure: "replayed handshake", bar: REFUSED },
        Bar { figure: "4 GiB announced without a certificate", bar: REFUSED },
        Bar { figure: "4 GiB announced in place of a hello", bar: REFUSED },
        Bar { figure: "4 GiB announced by a member", bar: REFUSED },
        Bar { figure: "a million tiny frames of a stranger", bar: REFUSED },
        Bar { figure: "a million tiny frames of a member", bar: "taken, the link stays" },
        Bar { figure: "swap pushed over a link by no member", bar: REFUSED },
        Bar { figure: "swap pushed without the token", bar: REFUSED },
        Bar { figure: "absurd reign", bar: REFUSED },
        Bar { figure: "admin request of another user", bar: REFUSED },
        Bar { figure: "admin request of a web page", bar: REFUSED },
        Bar { figure: "10,000 handshakes never finished", bar: REFUSED },
        Bar { figure: "a member links among them", bar: "within 1000 ms" },
        Bar { figure: "slow-loris: clients", bar: REFUSED },
        Bar { figure: "slow-loris: clients with TLS", bar: REFUSED },
        Bar { figure: "slow-loris: links", bar: REFUSED },
        Bar { figure: "slow-loris: admin port", bar: REFUSED },
        Bar { figure: "slow-loris: admin socket", bar: REFUSED },
        Bar { figure: "p99 of clients under attack", bar: "at most 1.1, or +0.5 ms" },
        Bar { figure: "the neighbour's link", bar: "never down" },
        Bar { figure: "memory of the node over all of it", bar: "at most 64 MiB more" },
    ],
    measure,
};

/// Attack, how often, and the counts in the status that show it, one of which goes up each time.
struct Try {
    figure: &'static str,
    attack: Attack,
    times: usize,
    reasons: &'static [&'static str],
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let open_files = open_files::allow_all()?;
    ensure!(open_files > UNFINISHED + 1000, "only {open_files} open files are allowed");
    let scene = Scene::set()?;
    let loot = &scene.loot;
    // All clients are known before, so that only attacks count as growth.
    let rate = SHARE * highest_rate(&[loot.client])?;
    let honest = || -> Result<f64> { Ok(Bench::open(&[loot.client], rate, WINDOW_S).run()?.p99_ms) };
    honest()?;
    let linked_since = neighbour_since(&scene.status()?)?;
    let memory = Memory::watch(&scene);

    scene.runtime.block_on(attacks::control(loot))?;
    for attempt in &TRIES {
        let made = Counted::by(&scene, attempt.reasons, || {
            scene.runtime.block_on(concurrently(&scene, attempt.attack, attempt.times))
        })?;
        made.show(reporter, attempt.figure, attempt.times);
    }
    let took = scene.runtime.block_on(attacks::tiny_frames_of_a_member(loot, 20 * attacks::TINY_FRAMES))?;
    reporter.show("a million tiny frames of a member", format!("taken in {} ms", took.as_millis()), true);

    let mut longest = Duration::MAX;
    let reasons = ["/links_refused/handshakes_per_address", "/links_refused/timeout"];
    let made = Counted::by(&scene, &reasons, || {
        let (closed, slowest) = scene.runtime.block_on(attacks::unfinished_handshakes(loot, UNFINISHED))?;
        longest = slowest;
        Ok(closed)
    })?;
    made.show(reporter, "10,000 handshakes never finished", UNFINISHED);
    let value = format!("{} ms", longest.as_millis());
    reporter.show("a member links among them", value, longest <= Duration::from_secs(1));
    for (figure, port, reasons) in SLOW {
        let made =
            Counted::by(&scene, reasons, || scene.runtime.block_on(attacks::slow_loris(loot, port, SLOW_CONNECTIONS)))?;
        made.show(reporter, figure, SLOW_CONNECTIONS);
    }

    let (mut quiet, mut attacked) = (vec![], vec![]);
    let made = Arc::new(AtomicU64::new(0));
    for _ in 0..ROUNDS {
        quiet.push(honest()?);
        let mut attackers = JoinSet::new();
        for number in 0..ATTACKERS {
            let every = [STRANGERS, MEMBERS][number % 2];
            attackers.spawn_on(attacks::repeat(Arc::clone(loot), every, Arc::clone(&made)), scene.runtime.handle());
        }
        let p99_ms = honest();
        attackers.abort_all();
        scene.runtime.block_on(async { while attackers.join_next().await.is_some() {} });
        attacked.push(p99_ms?);
    }
    let halves = |skip| Rounds::of(quiet.iter().skip(skip).step_by(2).copied()).median();
    let noise = halves(0).max(halves(1)) / halves(0).min(halves(1));
    let noisy = if noise > 1.1 { ", noisy" } else { "" };
    let (quiet, attacked) = (Rounds::of(quiet), Rounds::of(attacked));
    let (ratio, more) = (attacked.median() / quiet.median(), attacked.median() - quiet.median());
    let value = format!("{ratio:.2}, {more:+.2} ms (quiet by quiet {noise:.2}{noisy})");
    reporter.show("p99 of clients under attack", value, ratio <= 1.1 || more <= 0.5);
    reporter.tell("p99 quiet, and attacked", format!("{}, {}", quiet.text(2, " ms"), attacked.text(2, " ms")));
    let seconds = ROUNDS as f64 * WINDOW_S;
    reporter.tell("attacks/s meanwhile", format!("{:.0}", made.load(Ordering::Relaxed) as f64 / seconds));
    reporter.tell("open loop, reports/s", format!("{rate:.0}"));

    let since = neighbour_since(&scene.status()?)?;
    reporter.show(
        "the neighbour's link",
        if since == linked_since { "never down" } else { "was down" },
        since == linked_since,
    );
    let grown = memory.grown();
    let value = format!("{:+.1} MiB", grown as f64 / f64::from(1 << 20));
    reporter.show("memory of the node over all of it", value, grown <= MEMORY_MAX);
    Ok(())
}

/// Makes an attack several times, some at once, and returns how many were refused.
async fn concurrently(scene: &Scene, attack: Attack, times: usize) -> Result<usize> {
    let (mut running, mut refused) = (JoinSet::new(), 0);
    // Those of a member are made by one process, which has one link.
    let at_once = if MEMBERS.contains(&attack) || attack == Attack::AnotherUser { 1 } else { AT_ONCE };
    for _ in 0..times {
        if running.len() == at_once {
            refused += usize::from(running.join_next().await.context("some run")???);
        }
        let loot = Arc::clone(&scene.loot);
        running.spawn(async move { attack.perform(&loot).await });
    }
    while let Some(is_refused) = running.join_next().await {
        refused += usize::from(is_refused??);
    }
    Ok(refused)
}

/// Attacks that were refused, and those that the node has counted.
struct Counted {
    refused: usize,
    by_reason: Vec<(&'static str, u64)>,
}

impl Counted {
    /// Makes attacks and compares the counts at these places of the status before and after.
    fn by(scene: &Scene, reasons: &[&'static str], attack: impl FnOnce() -> Result<usize>) -> Result<Self> {
        let counts = |status: &Value| -> Vec<u64> {
            // A reason that has not occurred is absent.
            reasons.iter().map(|reason| status.pointer(reason).and_then(Value::as_u64).unwrap_or(0)).collect()
        };
        let before = counts(&scene.status()?);
        let refused = attack()?;
        // The attacker may notice a moment before the node counts.
        let mut grown = vec![];
        for _ in 0..COUNT_LOOKS {
            let after = counts(&scene.status()?);
            grown = before.iter().zip(after).map(|(before, after)| after - before).collect();
            if grown.iter().sum::<u64>() >= refused as u64 {
                break;
            }
            std::thread::sleep(COUNT_LOOK);
        }
        Ok(Self { refused, by_reason: reasons.iter().copied().zip(grown).collect() })
    }

    fn show(&self, reporter: &mut Reporter<'_>, figure: &str, times: usize) {
        let name = |reason: &str| reason.rsplit('/').next().unwrap_or_default().to_string();
        let counted: Vec<String> =
            self.by_reason.iter().map(|(reason, count)| format!("{count} {}", name(reason))).collect();
        let all = self.by_reason.iter().map(|(_, count)| count).sum::<u64>();
        // More, if the connection of this program to the admin API was idle for too long.
        let holds = self.refused == times && all >= times as u64;
        reporter.show(figure, format!("{} of {times}: {}", self.refused, counted.join(", ")), holds);
    }
}

/// Largest memory of the node, watched by a thread.
struct Memory {
    before: usize,
    largest: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Memory {
    fn watch(scene: &Scene) -> Self {
        let before = scene.node.resident_bytes();
        let (largest, is_over) = (Arc::new(AtomicUsize::new(before)), Arc::new(AtomicBool::new(false)));
        let (of_thread, ends, id) = (Arc::clone(&largest), Arc::clone(&is_over), scene.node.id());
        std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let pages = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
                let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
                of_thread.fetch_max(pages * rustix::param::page_size(), Ordering::Relaxed);
                std::thread::sleep(MEMORY_LOOK);
            }
        });
        Self { before, largest, is_over }
    }

    fn grown(&self) -> usize {
        self.largest.load(Ordering::Relaxed) - self.before
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Time at which the link to the neighbour came up.
fn neighbour_since(status: &Value) -> Result<u64> {
    let links = status["links"].as_array().context("links in the status")?;
    let link = links.iter().find(|link| link["peer"] == crate::scene::NEIGHBOUR && link["state"] != "down");
    link.and_then(|link| link["since_s"].as_u64()).context("the neighbour is not linked")
}

const fn of_links(figure: &'static str, attack: Attack, reasons: &'static [&'static str]) -> Try {
    Try { figure, attack, times: TIMES, reasons }
}

const TRIES: [Try; 20] = [
    of_links("no certificate", Attack::NoCertificate, &["/links_refused/no_certificate"]),
    of_links("self-signed", Attack::SelfSigned, &["/links_refused/unknown_authority"]),
    of_links("another herd's", Attack::AnotherHerd, &["/links_refused/wrong_herd"]),
    of_links("another authority's", Attack::AnotherAuthority, &["/links_refused/unknown_authority"]),
    of_links("expired", Attack::Expired, &["/links_refused/expired"]),
    of_links("revoked", Attack::Revoked, &["/links_refused/revoked"]),
    of_links("another node's name", Attack::AnotherName, &["/links_refused/wrong_name"]),
    of_links("second link as a node that is up", Attack::SecondLink, &["/links_refused/name_in_use"]),
    of_links("plain text", Attack::PlainText, &["/links_refused/not_tls"]),
    of_links("TLS 1.2", Attack::OldTls, &["/links_refused/old_tls"]),
    of_links("replayed handshake", Attack::Replayed, &["/links_refused/tls"]),
    of_links("4 GiB announced without a certificate", Attack::BombBefore, &["/links_refused/not_tls"]),
    of_links("4 GiB announced in place of a hello", Attack::BombInHello, &["/links_refused/frame_too_large"]),
    of_links("4 GiB announced by a member", Attack::BombAfter, &["/links_refused/frame_too_large"]),
    of_links("absurd reign", Attack::AbsurdReign, &["/links_refused/malformed_reports"]),
    Try {
        figure: "a million tiny frames of a stranger",
        attack: Attack::TinyFrames,
        times: 20,
        reasons: &["/links_refused/too_large"],
    },
    of_links("swap pushed over a link by no member", Attack::SwapOverLink, &["/links_refused/unknown_authority"]),
    of_links("swap pushed without the token", Attack::SwapWithoutToken, &["/admin/refused/token"]),
    Try {
        figure: "admin request of another user",
        attack: Attack::AnotherUser,
        times: 10,
        reasons: &["/admin/refused/user"],
    },
    of_links("admin request of a web page", Attack::WebPage, &["/admin/refused/web_page"]),
];

const SLOW: [(&str, Port, &[&str]); 5] = [
    ("slow-loris: clients", Port::Client, &["/sessions/ended_by_timeout/unfinished_line_s"]),
    ("slow-loris: clients with TLS", Port::ClientTls, &["/sessions/refused_by_limit/handshake_timeout"]),
    ("slow-loris: links", Port::Link, &["/links_refused/timeout", "/links_refused/handshakes_per_address"]),
    ("slow-loris: admin port", Port::Admin, &["/admin/refused/silent", "/admin/refused/connections"]),
    ("slow-loris: admin socket", Port::AdminSocket, &["/admin/refused/silent", "/admin/refused/connections"]),
];

/// Attacks of those who have no certificate, during the windows of honest clients.
const STRANGERS: &[Attack] = &[
    Attack::NoCertificate,
    Attack::SelfSigned,
    Attack::AnotherHerd,
    Attack::AnotherAuthority,
    Attack::Expired,
    Attack::Revoked,
    Attack::AnotherName,
    Attack::SecondLink,
    Attack::PlainText,
    Attack::OldTls,
    Attack::Replayed,
    Attack::BombBefore,
    Attack::BombInHello,
    Attack::TinyFrames,
    Attack::SwapOverLink,
    Attack::SwapWithoutToken,
    Attack::WebPage,
];
/// Attacks on a link.
const MEMBERS: &[Attack] = &[Attack::BombAfter, Attack::AbsurdReign];

const REFUSED: &str = "refused and counted, each";
const TIMES: usize = 100;
const AT_ONCE: usize = 8;
const UNFINISHED: usize = 10_000;
const SLOW_CONNECTIONS: usize = 100;
const SHARE: f64 = 0.5;
const WINDOW_S: f64 = 3.0;
const ROUNDS: usize = 6;
/// Half of them have the key of a member.
const ATTACKERS: usize = 2;
const COUNT_LOOKS: usize = 100;
const COUNT_LOOK: Duration = Duration::from_millis(50);
const MEMORY_LOOK: Duration = Duration::from_millis(50);
/// Growth that is allowed: the sum of the limits of handshakes (8 MiB for links, 8 MiB for clients), the buffers of 100 sessions and 1 link,
/// and the rest for what the allocator and threads keep after a flood.
const MEMORY_MAX: usize = 64 << 20;
