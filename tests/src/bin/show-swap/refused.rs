//! Guests that fail at each stage of a swap: refused with the name of the stage and a remedy, while the generation before goes on
//! serving.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use herd_tests::{Bar, CORE_MODULE, Client, DAMAGED, DEFAULT_GUEST, Fixture, Herd, Reporter, Row, eventually};

pub(crate) const ROW: Row = Row {
    name: "refused",
    figures: &[
        Bar { figure: "refused when parsed", bar: STAGE_AND_REASON },
        Bar { figure: "refused when compiled", bar: STAGE_AND_REASON },
        Bar { figure: "refused when checked", bar: STAGE_AND_REASON },
        Bar { figure: "refused when rehearsed: a transcript", bar: STAGE_AND_REASON },
        Bar { figure: "refused when rehearsed: a recorded decision", bar: STAGE_AND_REASON },
        Bar { figure: "sent back in its probation", bar: STAGE_AND_REASON },
        Bar { figure: "what served before still serves", bar: "after each of 6" },
    ],
    measure,
};

/// A swap that must be refused, with the stage and the remedy that the refusal must name.
struct Try {
    figure: &'static str,
    guest: PathBuf,
    arguments: Vec<String>,
    stage: &'static str,
    what_to_do: &'static str,
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let up = herd.up();
    let mut client = herd.client("Riley");
    // Recorded for rehearsals: the input on which the last guest faults.
    ensure!(client.ask("BOOM") == "? BOOM", "the default logic does not answer");
    let mut still = 0;
    for Try { figure, guest, arguments, stage, what_to_do } in tries(&herd) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = herd.swap_with(&guest, &arguments).err().unwrap_or_else(|| "it was taken".into());
        let holds = said.contains(&format!("Riley: not {stage}: ")) && said.contains(what_to_do);
        reporter.show(figure, if holds { stage } else { "something else" }, holds);
        reporter.tell("  it says", said.trim_end());
        still += usize::from(serves(&mut client));
    }
    let said = probation(&herd, &mut client)?;
    let holds = said.contains("failed its probation") && said.contains("--again") && said.contains("herd test");
    reporter.show("sent back in its probation", if holds { "probation" } else { "something else" }, holds);
    reporter.tell("  it says", said.trim_end());
    still += usize::from(serves(&mut client));
    reporter.show("what served before still serves", still, still == 6);
    drop(up);
    Ok(())
}

fn tries(herd: &Herd) -> Vec<Try> {
    let core = herd.scratch().write("core.wasm", CORE_MODULE);
    let damaged = herd.scratch().write("damaged.wasm", DAMAGED);
    let wanted = herd.scratch().write("wanted.herd", "input \"you\\n\"\n  reply \"hello, you\\n\"\n");
    let a_try = |figure, guest, stage, what_to_do| Try { figure, guest, arguments: vec![], stage, what_to_do };
    let fixture = |fixture: Fixture| fixture.path().to_path_buf();
    vec![
        a_try("refused when parsed", core, "parsed", "build it with `--target wasm32-wasip2`"),
        a_try("refused when compiled", damaged, "compiled", "build or copy it again"),
        a_try("refused when checked", fixture(Fixture::Greedy), "checked", "wasi:keyvalue/store"),
        Try {
            arguments: vec!["--transcripts".into(), wanted.to_string_lossy().into_owned()],
            ..a_try("refused when rehearsed: a transcript", DEFAULT_GUEST.into(), "rehearsed", "+   reply \"? you")
        },
        a_try("refused when rehearsed: a recorded decision", fixture(Fixture::Trap), "rehearsed", "BOOM"),
    ]
}

/// Swaps to a guest that passes all stages and then faults too often. Returns the refusal of a second attempt.
fn probation(herd: &Herd, client: &mut Client) -> Result<String> {
    herd.swap_with(Fixture::Trap, &["--unrehearsed"]).map_err(anyhow::Error::msg)?;
    eventually("the rollback", || {
        assert_eq!(client.ask("BOOM"), "? BOOM", "the client sees a normal answer");
        match &herd.status("Riley")["generations"]["previous"]["failed"] {
            failed if *failed == true => Ok(()),
            _ => Err("it serves still".into()),
        }
    });
    Ok(herd.swap_with(Fixture::Trap, &["--unrehearsed"]).err().unwrap_or_else(|| "it was taken".into()))
}

fn serves(client: &mut Client) -> bool {
    client.ask("you") == "? you" && client.ask("IAMAT refused +34-118 1").starts_with("AT Riley ")
}

const STAGE_AND_REASON: &str = "its stage and what to do";
