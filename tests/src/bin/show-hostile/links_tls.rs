//! Cost of encryption on links: the herd of five against the same with links that are plain after their handshake.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use herd_tests::bench::{Bench, WARM_UP_S, highest_rate};
use herd_tests::{Bar, Herd, Process, Reporter, Rounds, Row};

pub(crate) const ROW: Row = Row {
    name: "links-tls",
    figures: &[Bar { figure: "links with TLS against without, processor time", bar: "at most 1.15 times" }],
    measure,
};

/// A herd of five that runs.
struct Five {
    herd: Herd,
    nodes: Vec<Process>,
}

impl Five {
    fn start(herd: Herd) -> Self {
        let herd = herd.as_for_users();
        let nodes = herd.names().into_iter().map(|node| herd.run(node)).collect();
        herd.await_linked(&herd.names());
        Self { herd, nodes }
    }

    fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.herd.names().iter().map(|node| self.herd.address(node)).collect()
    }

    /// Processor time of all nodes per report, in microseconds.
    fn processor_us(&self, rate: f64) -> Result<f64> {
        let spent = || self.nodes.iter().map(|node| node.processor_ns("")).sum::<u64>();
        let before_ns = spent();
        let loaded = Bench::open(&self.addresses(), rate, WINDOW_S).run()?;
        // The answers of the warm-up cost as much and are not counted.
        let share = WINDOW_S / (WINDOW_S + WARM_UP_S);
        Ok((spent() - before_ns) as f64 / 1e3 * share / loaded.answers)
    }
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let plain = plain_binary()?;
    let [tls, again] = [(); 2].map(|()| Five::start(Herd::of_five()));
    let plain = Five::start(Herd::of_five().with_binary(plain));
    let rate = SHARE * highest_rate(&tls.addresses())?;
    // All clients are known before.
    for five in [&plain, &again] {
        five.processor_us(rate)?;
    }
    let (mut ratios, mut selves, mut costs) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let [tls, plain, again] = [&tls, &plain, &again].map(|five| five.processor_us(rate));
        let (tls, plain, again) = (tls?, plain?, again?);
        ratios.push(tls / plain);
        selves.push(again / tls);
        costs.push((tls, plain));
    }
    let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
    let noise = same.largest().max(1.0 / same.smallest());
    let noisy = if noise > RATIO_MAX { ", noisy" } else { "" };
    let value = format!("{} (TLS by TLS {}{noisy})", ratio.text(2, ""), same.text(2, ""));
    reporter.show("links with TLS against without, processor time", value, ratio.median() <= RATIO_MAX);
    let median = |of: fn(&(f64, f64)) -> f64| Rounds::of(costs.iter().map(of)).median();
    let told = format!("with TLS {:.1} us, without {:.1} us", median(|cost| cost.0), median(|cost| cost.1));
    reporter.tell("processor time of five nodes per report", told);
    reporter.tell("open loop, reports/s", format!("{rate:.0}"));
    Ok(())
}

/// Program whose links are plain, beside this one.
fn plain_binary() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let plain = this.parent().context("a program is in a directory")?.join("herd-with-plain-links");
    let command = "cargo build --release -p herd-tests --features plain-links --bin herd-with-plain-links";
    ensure!(plain.exists(), "{} is not there; {command}", plain.display());
    Ok(plain)
}

const RATIO_MAX: f64 = 1.15;
const SHARE: f64 = 0.5;
const ROUNDS: usize = 5;
const WINDOW_S: f64 = 3.0;
