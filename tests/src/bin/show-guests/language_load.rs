//! Each language with the defaults of a node at full load, and with upstream answers of a megabyte; cost, memory and size side by side.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Behaviour, Extent, Herd, Process, Reporter, Row};

use crate::languages::{LANGUAGES, guest};

pub(crate) const ROW: Row = Row {
    name: "language-load",
    figures: &[
        Bar { figure: "rust: faults at full load, pipeline 1 and 32", bar: "0" },
        Bar { figure: "rust: faults with upstream answers of 1 MB", bar: "0" },
        Bar { figure: "python: faults at full load, pipeline 1 and 32", bar: "0" },
        Bar { figure: "python: faults with upstream answers of 1 MB", bar: "0" },
        Bar { figure: "javascript: faults at full load, pipeline 1 and 32", bar: "0" },
        Bar { figure: "javascript: faults with upstream answers of 1 MB", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let seconds = if reporter.extent() == Extent::Full { 600 } else { 60 };
    for language in LANGUAGES {
        let file = guest(language)?;
        let herd = Herd::of_one().with_guest(&file);
        let up = herd.up();
        let mut rates = vec![];
        for pipeline in ["1", "32"] {
            let before = up.processor_ns("herd-worker");
            let answers =
                bench(&herd, seconds, &["--connections", "64", "--pipeline", pipeline, "--mix", "iamat=95,invalid=5"])?;
            let each_us = (up.processor_ns("herd-worker") - before) as f64 / answers / 1e3;
            rates.push(format!("pipeline {pipeline}: {each_us:.1} us of workers"));
        }
        let faulted = faults(&herd);
        reporter.show(&format!("{language}: faults at full load, pipeline 1 and 32"), faulted, faulted == 0);
        reporter.tell(&format!("{language}: cost per decision"), rates.join(", "));
        let needs =
            if language == "rust" { "10 ms, the default" } else { "100 ms, which the guest states that it needs" };
        reporter.tell(&format!("{language}: processor time that a call may take"), needs);
        reporter.tell(&format!("{language}: memory of the process"), memory(&up));
        let bytes = std::fs::metadata(&file)?.len() as f64;
        reporter.tell(&format!("{language}: size of the guest"), format!("{:.2} MB", bytes / 1e6));

        herd.places().behave(Behaviour::Body(megabyte()));
        // A load that is answered by fallbacks alone would have no fault: places have to come, before it and behind it.
        ensure_places(&herd, language)?;
        let before = upstream(&herd)?;
        bench(&herd, seconds, &["--connections", "4", "--clients", "100", "--mix", "iamat=50,whatsat=50"])?;
        let during: Vec<f64> = upstream(&herd)?.iter().zip(before).map(|(after, before)| after - before).collect();
        ensure_places(&herd, language)?;
        reporter.tell(
            &format!("{language}: upstream answers of 1 MB, and failed requests"),
            format!("{}, {}", during[0], during[1]),
        );
        ensure!(during[0] > 0.0, "{language}: no question asked the upstream");
        ensure!(during[0] >= 9.0 * during[1], "{language}: one question in ten had a fallback for an answer");
        let faulted = faults(&herd) - faulted;
        reporter.show(&format!("{language}: faults with upstream answers of 1 MB"), faulted, faulted == 0);
    }
    Ok(())
}

/// Runs a load for so long, and returns the number of its answers.
fn bench(herd: &Herd, seconds: u64, arguments: &[&str]) -> Result<f64> {
    let duration = seconds.to_string();
    let arguments = [&["bench", "--duration", &duration][..], arguments].concat();
    let Output { stdout, stderr, .. } = herd.herd_for(Duration::from_secs(seconds), &arguments);
    let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(said.contains("wrong answers: 0, broken connections: 0"), "{said}{errors}");
    let answers = said.lines().find_map(|line| line.split_once(" answers in ")?.0.trim().parse::<f64>().ok());
    answers.context("the report has no number of answers")
}

/// Fails unless a question is answered with places of the upstream.
fn ensure_places(herd: &Herd, language: &str) -> Result<()> {
    let mut client = herd.client("Riley");
    client.ask("IAMAT shown +34.05-118.44 1479413884");
    let answer = client.ask_places("WHATSAT shown 10 5");
    let places = answer.1.as_ref().and_then(|json| json["results"].as_array()).map_or(0, Vec::len);
    ensure!(places == 5, "{language} answers with {places} places: {answer:?}");
    Ok(())
}

/// Returns how many requests the upstream has answered, and how many failed. A question that asks no upstream counts as neither.
fn upstream(herd: &Herd) -> Result<[f64; 2]> {
    let metrics = herd.scrape("Riley")?;
    let of = |name: &str| {
        let samples = metrics.lines().filter(|line| line.starts_with(name));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    Ok([of("herd_upstream_answers_total"), of("herd_upstream_failures_total")])
}

/// Returns the faults of the active generation.
fn faults(herd: &Herd) -> u64 {
    herd.status("Riley")["generations"]["active"]["faults"].as_u64().unwrap_or(u64::MAX)
}

fn memory(up: &Process) -> String {
    format!("{:.0} MB", up.resident_bytes() as f64 / 1e6)
}

/// An answer of a Nearby Search with far more places than any bound.
fn megabyte() -> String {
    let place = |number: usize| {
        format!(
            r#"{{"name":"Place {number}","geometry":{{"location":{{"lat":34.05,"lng":-118.44}}}},"types":["cafe","food"],"vicinity":"{number} Main Street","photos":[{{"height":1080,"width":1920,"photo_reference":"{}"}}]}}"#,
            "A1b2".repeat(200)
        )
    };
    let places: Vec<String> = (0..1_000).map(place).collect();
    format!(r#"{{"html_attributions":[],"results":[{}],"status":"OK"}}"#, places.join(","))
}
