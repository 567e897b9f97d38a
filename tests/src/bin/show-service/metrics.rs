//! Cost of metrics: the time of a scrape of a node with a million records under load, and what scrapes cost its answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, COST_WINDOW_S, Cost, LoneNode, MILLION, ROOM, Reporter, Rounds, Row, SCENARIOS, WAIT_MAX, fill};

pub(crate) const ROW: Row = Row {
    name: "metrics",
    figures: &[
        Bar { figure: "scrape of a million records under load", bar: "at most 20 ms" },
        Bar { figure: "processor time an answer, with scrapes", bar: "at most 1.02 of without" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let node = LoneNode::start(&ROOM);
    fill(node.herd.address("Riley"), "scraped", 0, MILLION)?;
    let address = node.herd.metrics_address("Riley");
    let (mut scrapes_ms, mut bytes) = (vec![], 0);
    let load = || Ok(node.load(&SCENARIOS[0], COST_WINDOW_S)?.each_processor_s);
    let scraped = || {
        let is_over = AtomicBool::new(false);
        let (with, scraped) = std::thread::scope(|scope| {
            let scraping = scope.spawn(|| scrape_until(address, &is_over));
            let with = load();
            is_over.store(true, Ordering::Relaxed);
            (with, scraping.join().expect("scraping does not panic"))
        });
        for (took, length) in scraped? {
            scrapes_ms.push(took.as_secs_f64() * 1e3);
            bytes = length;
        }
        with
    };
    let cost = Cost::measure(load, scraped, load)?;
    ensure!(scrapes_ms.len() >= SCRAPES_MIN, "only {} scrapes", scrapes_ms.len());
    let scrapes = Rounds::of(scrapes_ms);
    reporter.show("scrape of a million records under load", scrapes.text(1, " ms"), scrapes.median() <= 20.0);
    reporter.tell("bytes of a scrape", bytes.to_string());
    let figure = "processor time an answer, with scrapes";
    reporter.show(figure, cost.text("without by without"), cost.is_at_most(1.02));
    Ok(())
}

/// Scrapes every second, as Prometheus does at its fastest usual pace, and returns the time and the length of each.
fn scrape_until(address: SocketAddr, is_over: &AtomicBool) -> Result<Vec<(Duration, usize)>> {
    let mut scrapes = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains("\nherd_records{"), "no metrics: {answer}");
        scrapes.push((began.elapsed(), answer.len()));
        while began.elapsed() < PAUSE && !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(scrapes)
}

const PAUSE: Duration = Duration::from_secs(1);
const SCRAPES_MIN: usize = 20;
