//! Tampering: every kind of it is refused by a node that requires signatures, on every way in, and a guest that is signed serves.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use herd_tests::{Bar, HELLO, Herd, Reporter, Row, Signer, Tampering, WATCH, copy_guest, eventually, tamperings};

pub(crate) const ROW: Row = Row {
    name: "tampering",
    figures: &[
        Bar { figure: "tamperings refused, as swap, --force, canary, shadow", bar: "all" },
        Bar { figure: "of them audited with the reason", bar: "all" },
        Bar { figure: "guests with enough signatures that serve", bar: "all" },
        Bar { figure: "too few of 2 of 3 keys, one key twice", bar: "refused" },
        Bar { figure: "unsigned swap of a herd with one strict node", bar: "aborted, names it" },
        Bar { figure: "unsigned guest over a link, to a node that was away", bar: "refused, others serve" },
        Bar { figure: "tamperings on disk, found at a start", bar: "all" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    swaps(reporter)?;
    few(reporter);
    strict_node(reporter);
    disk(reporter)
}

fn swaps(reporter: &mut Reporter<'_>) -> Result<()> {
    let plan = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let [release, old, stranger] = ["release", "old", "stranger"].map(|name| Signer::new(&plan, name));
    let herd = plan.with(&release.trusted()).with(&old.trusted_until("2020-01-01"));
    let _up = herd.up();
    let before = herd.serving("Jaquez");
    let options: [&[&str]; 4] =
        [&[], &["--force"], &["--node", "Riley", "--canary", "50%"], &["--node", "Riley", "--shadow", "50%"]];
    let (mut tried, mut refused, mut audited) = (0, 0, 0);
    let tampered = tamperings(&herd, &release, &old, &stranger);
    for Tampering { what, guest, says } in &tampered {
        for options in options {
            tried += 1;
            let said = herd.swap_with(guest, options).err().unwrap_or_default();
            let is_refused = said.contains("not parsed: ") && said.contains(says.as_str());
            refused += usize::from(is_refused && herd.serving("Jaquez") == before);
            if !is_refused {
                reporter.tell(what, format!("{options:?}: {said}"));
            }
        }
        let log = herd.herd(&["audit", "--wide", "--node", "Jaquez"]).stdout;
        audited += usize::from(String::from_utf8_lossy(&log).contains(says.as_str()));
    }
    reporter.show(
        "tamperings refused, as swap, --force, canary, shadow",
        format!("{refused} of {tried}"),
        refused == tried,
    );
    let all = tampered.len();
    reporter.show("of them audited with the reason", format!("{audited} of {all}"), audited == all);
    let mut served = 0;
    for (guest, name) in [(HELLO, "good"), (WATCH, "better")] {
        let guest = copy_guest(&herd, guest, name);
        release.sign(&herd, &guest);
        herd.swap(&guest, &[]).map_err(anyhow::Error::msg)?;
        let signer = herd.status("Jaquez")["generations"]["active"]["signature"]["signed_by"][0]["name"].clone();
        served += usize::from(signer == "release");
    }
    reporter.show("guests with enough signatures that serve", format!("{served} of 2"), served == 2);
    Ok(())
}

fn few(reporter: &mut Reporter<'_>) {
    let plan = Herd::of_one();
    let signers = ["mira", "ada", "cleo"].map(|name| Signer::new(&plan, name));
    let herd = signers.iter().fold(plan, |herd, signer| herd.with(&signer.trusted()));
    let herd = herd.with("swap.require_signature.threshold=2");
    let _riley = herd.run("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    signers[0].sign(&herd, &guest);
    let one = herd.swap(&guest, &[]).err().unwrap_or_default();
    let file = Signer::signatures(&guest);
    let twice = fs::read_to_string(&file).map(|text| fs::write(&file, text.repeat(2)));
    let two = herd.swap(&guest, &[]).err().unwrap_or_default();
    let says = format!("signed by mira ({}); missing: ada (", signers[0].id);
    let holds = twice.is_ok() && one.contains(&says) && two.contains(&says);
    reporter.show("too few of 2 of 3 keys, one key twice", if holds { "refused" } else { "accepted" }, holds);
}

fn strict_node(reporter: &mut Reporter<'_>) {
    // Of two nodes one would be half of the herd, and take the other one back with it.
    let herd = Herd::of(&[("Riley", &["Jaquez", "Juzang"]), ("Jaquez", &[]), ("Juzang", &[])]);
    let release = Signer::new(&herd, "release");
    let _others = ["Riley", "Juzang"].map(|node| herd.run(node));
    let mut jaquez = herd.run_with("Jaquez", &[&release.trusted()]);
    herd.await_linked(&herd.names());
    let before = herd.serving("Riley");
    let unsigned = copy_guest(&herd, HELLO, "hello");
    let said = herd.swap(&unsigned, &[]).err().unwrap_or_default();
    let is_aborted = said.starts_with("herd: Jaquez: not parsed: it is not signed") && herd.serving("Riley") == before;
    reporter.show(
        "unsigned swap of a herd with one strict node",
        if is_aborted { "aborted by Jaquez" } else { "not aborted" },
        is_aborted,
    );
    jaquez.kill();
    herd.await_linked(&["Juzang", "Riley"]);
    let swapped = herd.swap(&unsigned, &[]);
    let _jaquez = herd.run_with("Jaquez", &[&release.trusted()]);
    let status = herd.await_status("Jaquez", "a refusal", |status| !status["herd"]["back"]["Jaquez"].is_null());
    let why = status["herd"]["back"]["Jaquez"].as_str().unwrap_or_default().to_string();
    let is_refused = swapped.is_ok()
        && why.starts_with("not parsed: it is not signed")
        && herd.serving("Jaquez") == before
        && herd.serving("Riley") != before;
    reporter.show(
        "unsigned guest over a link, to a node that was away",
        if is_refused { "refused, others serve" } else { "not refused" },
        is_refused,
    );
}

fn disk(reporter: &mut Reporter<'_>) -> Result<()> {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let mut riley = herd.run("Riley");
    let built_in = herd.serving("Riley");
    herd.swap(&guest, &[]).map_err(anyhow::Error::msg)?;
    let served = herd.status("Riley")["generations"]["active"]["digest"].as_str().context("a digest")?.to_string();
    let component = herd.state_directory().join("generations/Riley").join(format!("{served}.wasm"));
    let signatures = herd.state_directory().join("signatures/Riley").join(format!("{served}.wasm.minisig"));
    let other = fs::read(WATCH)?;
    let damages: [&dyn Fn() -> std::io::Result<()>; 4] = [
        &|| fs::write(&signatures, "damaged"),
        &|| fs::remove_file(&signatures),
        &|| fs::write(&component, &other),
        &|| swap_files(&herd, &served, &other),
    ];
    let mut found = 0;
    for damage in damages {
        riley.terminate();
        riley.wait();
        damage()?;
        riley = herd.run("Riley");
        found += usize::from(herd.serving("Riley") == built_in);
        // The herd may be on its way back from what it found in the state.
        eventually("the guest serves again", || herd.swap(&guest, &[]));
    }
    let all = damages.len();
    reporter.show("tamperings on disk, found at a start", format!("{found} of {all}"), found == all);
    Ok(())
}

/// Puts another guest into the state of a node, under its right name.
fn swap_files(herd: &Herd, served: &str, other: &[u8]) -> std::io::Result<()> {
    let generations = herd.state_directory().join("generations");
    let digest = herd_model::Digest::of(other).to_string();
    fs::write(generations.join("Riley").join(format!("{digest}.wasm")), other)?;
    let state: &Path = &generations.join("Riley.json");
    fs::write(state, fs::read_to_string(state)?.replace(served, &digest))
}
