//! Signatures of guests: what was tampered with is refused by every node that requires them, on every way in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use herd_model::Digest;
use herd_tests::{
    DEFAULT_GUEST, Fixture, HELLO, Herd, Process, Signer, Tampering, WATCH, copy_guest, eventually, tamperings, tool,
};
use serde_json::Value;

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command, and returns what it printed, or its error.
fn run(herd: &Herd, arguments: &[&str]) -> Result<String, String> {
    let ran = herd.herd(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) }
}

fn audit(herd: &Herd, node: &str) -> String {
    run(herd, &["audit", "--wide", "--node", node]).unwrap()
}

/// Goal: on a node that requires signatures, whatever was tampered with is refused at *parsed*, with the keys, audited, and nothing changes.
/// Method: a herd of two; each tampering of a good guest and its good signature; then those.
#[test]
fn signed_guest_is_served_and_tampered_ones_are_refused_and_audited() {
    let plan = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let [release, old, stranger] = ["release", "old", "stranger"].map(|name| Signer::new(&plan, name));
    let herd = plan.with(&release.trusted()).with(&old.trusted_until("2020-01-01"));
    let _up = herd.up();
    let built_in = herd.serving("Riley");
    assert_eq!(herd.status("Riley")["generations"]["active"]["signature"]["built_in"], true);

    let tampered = tamperings(&herd, &release, &old, &stranger);
    for Tampering { what, guest, says } in &tampered {
        for options in [
            &[][..],
            &["--force"],
            &["--node", "Riley"],
            &["--node", "Riley", "--canary", "50%"],
            &["--node", "Riley", "--shadow", "50%"],
        ] {
            let said = herd.swap_with(guest, options).unwrap_err();
            assert!(said.contains("not parsed: ") && said.contains(says), "{what} {options:?}: {said}");
            assert!(said.contains("herd sign GUEST --key FILE"), "{said}");
        }
        assert_eq!((herd.serving("Riley"), herd.serving("Jaquez")), (built_in.clone(), built_in.clone()));
        let audit = audit(&herd, "Jaquez");
        let last = audit.lines().rev().find(|line| line.contains("refused")).unwrap();
        assert!(last.contains("parsed") && last.contains(says), "{what}: {last}");
    }
    let parsed = herd.status("Jaquez")["stages"]["parsed"].clone();
    assert_eq!(parsed["reached"], 0, "nothing of it was compiled");

    let good = copy_guest(&herd, HELLO, "good");
    release.sign(&herd, &good);
    herd.swap(&good, &[]).unwrap();
    for node in ["Riley", "Jaquez"] {
        let signature = herd.status(node)["generations"]["active"]["signature"].clone();
        assert_eq!((&signature["built_in"], &signature["signed_by"][0]["name"]), (&false.into(), &"release".into()));
        herd.await_audited(node, &[&format!("signed by release ({})", release.id)]);
    }
    assert!(run(&herd, &["status"]).unwrap().contains("signed by release"));
    assert!(herd.herd(&["swap", "--built-in"]).status.success());
    assert_eq!(herd.serving("Jaquez"), built_in, "the guest inside the program needs no signature");
}

/// Goal: of several keys so many have to sign, and each counts once. Method: two of three, signed one after the other.
#[test]
fn signatures_of_too_few_keys_are_refused_and_one_key_counts_once() {
    let plan = Herd::of_one();
    let keys = ["mira", "ada", "cleo"].map(|name| Signer::new(&plan, name));
    let herd = keys.iter().fold(plan, |herd, key| herd.with(&key.trusted())).with("swap.require_signature.threshold=2");
    let _riley = herd.run("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    let [mira, ada, cleo] = &keys;
    let too_few = format!(
        "it does not have signatures by 2 of its 3 keys, which this node requires; signed by mira ({}); missing: ada ({}) or cleo ({});",
        mira.id, ada.id, cleo.id
    );
    mira.sign(&herd, &guest);
    let said = herd.swap(&guest, &[]).unwrap_err();
    assert!(said.contains(&too_few), "{said}");
    // Herd sign replaces the signature of a key; whoever writes the file by hand need not.
    let twice = fs::read_to_string(Signer::signatures(&guest)).unwrap().repeat(2);
    fs::write(Signer::signatures(&guest), twice).unwrap();
    let said = herd.swap(&guest, &[]).unwrap_err();
    assert!(said.contains(&too_few), "{said}");
    cleo.sign(&herd, &guest);
    herd.swap(&guest, &[]).unwrap();
    let signers = herd.status("Riley")["generations"]["active"]["signature"]["signed_by"].clone();
    let names: Vec<&str> = signers.as_array().unwrap().iter().map(|signer| signer["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cleo", "mira"]);
}

/// Goal: a node that requires signatures decides for itself, whoever coordinates. Method: three processes, of which one requires them; swaps
/// at one that does not, while that node is there, and while it is away.
#[test]
fn node_that_requires_signatures_refuses_what_its_herd_accepts() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]);
    let release = Signer::new(&herd, "release");
    let _others = ["Riley", "Jaquez"].map(|node| herd.run(node));
    let strict = || herd.run_with("Juzang", &[&release.trusted()]);
    let mut juzang = strict();
    herd.await_linked(&herd.names());
    let built_in = herd.serving("Riley");
    let unsigned = copy_guest(&herd, HELLO, "hello");
    let said = herd.swap(&unsigned, &[]).unwrap_err();
    assert!(
        said.starts_with("herd: Juzang: not parsed: it is not signed, and this node requires the signature of release"),
        "{said}"
    );
    for node in herd.names() {
        assert_eq!(herd.serving(node), built_in, "{node}");
    }
    herd.await_audited("Riley", &["Juzang refused: not parsed: it is not signed"]);

    // Over its link, when it is back: without signatures, and with them.
    juzang.kill();
    herd.await_linked(&["Jaquez", "Riley"]);
    herd.swap(&unsigned, &[]).unwrap();
    juzang = strict();
    let status = herd.await_status("Juzang", "a refusal", |status| !status["herd"]["back"]["Juzang"].is_null());
    assert!(status["herd"]["back"]["Juzang"].as_str().unwrap().starts_with("not parsed: it is not signed"), "{status}");
    assert_eq!((herd.serving("Juzang"), herd.serving("Riley") == built_in), (built_in, false));
    herd.await_audited("Juzang", &["it is not signed"]);
    juzang.kill();
    herd.await_linked(&["Jaquez", "Riley"]);
    let signed = copy_guest(&herd, WATCH, "watch");
    release.sign(&herd, &signed);
    herd.swap(&signed, &[]).unwrap();
    let _juzang = strict();
    herd.await_serving(&herd.serving("Riley"), &["Juzang"]);
    assert_eq!(herd.status("Juzang")["generations"]["active"]["signature"]["signed_by"][0]["name"], "release");
}

/// Directory of what a node keeps of guests.
fn stored(herd: &Herd, what: &str, node: &str, digest: &str) -> PathBuf {
    let directory = herd.state_directory().join(what).join(node);
    let found = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    found.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(digest)).unwrap()
}

/// Goal: what lies on the disk of a node is judged at its start as what comes over links is. Method: a node that serves a signed guest is
/// restarted after its file was swapped for another, with the name that other has, or after its signatures were damaged or removed.
#[test]
fn guest_on_disk_that_was_tampered_with_is_not_served_after_a_restart() {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let mut riley = herd.run("Riley");
    let built_in = herd.serving("Riley");
    herd.swap(&guest, &[]).unwrap();
    let served = herd.serving("Riley");
    let restart = |riley: &mut Process| {
        riley.terminate();
        riley.wait();
    };
    restart(&mut riley);
    let mut riley = herd.run("Riley");
    assert_eq!(herd.serving("Riley"), served, "what is sound serves again");
    assert_eq!(herd.status("Riley")["generations"]["active"]["signature"]["signed_by"][0]["name"], "release");

    let signatures = stored(&herd, "signatures", "Riley", &served);
    let good = fs::read(&signatures).unwrap();
    let generations = herd.state_directory().join("generations");
    let state = fs::read_to_string(generations.join("Riley.json")).unwrap();
    let digest = herd.status("Riley")["generations"]["active"]["digest"].as_str().unwrap().to_string();
    let watch = fs::read(WATCH).unwrap();
    let watch_digest = herd_model::Digest::of(&watch).to_string();
    let damage: [(&str, &dyn Fn()); 3] = [
        ("cannot be read: from line 1 on", &|| fs::write(&signatures, &good[..good.len() / 2]).unwrap()),
        ("it is not signed", &|| fs::remove_file(&signatures).unwrap()),
        // An attacker names the file after its content, and the content in the state of the node.
        ("it is not signed", &|| {
            fs::write(generations.join("Riley").join(format!("{watch_digest}.wasm")), &watch).unwrap();
            fs::write(generations.join("Riley.json"), state.replace(&digest, &watch_digest)).unwrap();
        }),
    ];
    for (words, damage) in damage {
        restart(&mut riley);
        damage();
        riley = herd.run("Riley");
        let audit = audit(&herd, "Riley");
        let refused =
            audit.lines().rev().find(|line| line.contains("refused") && line.contains("at the start")).unwrap();
        assert!(refused.contains(words) && refused.contains("parsed"), "{refused}");
        assert_eq!(herd.serving("Riley"), built_in, "{words}");
        // Back to what it was, for the next kind. The herd may be on its way back from what it found in the state.
        eventually("the guest serves again", || herd.swap(&guest, &[]));
        assert_eq!(fs::read(&signatures).unwrap(), good, "the swap has mended the file");
    }
    // Another content under the name of the guest is found by its digest.
    restart(&mut riley);
    fs::write(stored(&herd, "generations", "Riley", &served), &watch).unwrap();
    let _riley = herd.run("Riley");
    assert_eq!(herd.serving("Riley"), built_in);
}

/// Goal: a node whose stored signatures are damaged gets them from its neighbour, and serves the guest of the herd again.
#[test]
fn node_with_damaged_signatures_fetches_them_from_a_neighbour() {
    let plan = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let _riley = herd.run("Riley");
    let mut jaquez = herd.run("Jaquez");
    herd.await_linked(&herd.names());
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    herd.swap(&guest, &[]).unwrap();
    let served = herd.serving("Jaquez");
    jaquez.terminate();
    jaquez.wait();
    let signatures = stored(&herd, "signatures", "Jaquez", &served);
    fs::write(&signatures, "damaged").unwrap();
    let _jaquez = herd.run("Jaquez");
    herd.await_serving(&served, &["Jaquez"]);
    let mended = || {
        if fs::read(&signatures).unwrap() == fs::read(Signer::signatures(&guest)).unwrap() {
            Ok(())
        } else {
            Err("damaged".into())
        }
    };
    eventually("its copy is mended", mended);
}

/// Goal: no swap costs a node the signatures by which it loads its guest after a restart. Method: a canary is promoted by a swap of the same file
/// without signatures, and by one with them; what serves then is swapped to again, with signatures that do not count; a restart.
#[test]
fn signatures_of_a_canary_are_needed_to_promote_it_and_survive_a_bad_swap_to_the_same_guest() {
    let plan = Herd::of_one();
    let [release, stranger] = ["release", "stranger"].map(|name| Signer::new(&plan, name));
    let herd = plan.with(&release.trusted());
    let mut riley = herd.run("Riley");
    let built_in = herd.serving("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let good = fs::read(Signer::signatures(&guest)).unwrap();
    herd.swap_with(&guest, &["--node", "Riley", "--canary", "50%"]).unwrap();
    fs::remove_file(Signer::signatures(&guest)).unwrap();
    let said = herd.swap(&guest, &[]).unwrap_err();
    assert!(said.contains("not parsed: it is not signed"), "{said}");
    assert_eq!(herd.serving("Riley"), built_in);
    assert!(!herd.status("Riley")["generations"]["canary"].is_null(), "the canary goes on");
    fs::write(Signer::signatures(&guest), &good).unwrap();
    herd.swap(&guest, &[]).unwrap();
    let served = herd.serving("Riley");
    assert_ne!(served, built_in);

    fs::remove_file(Signer::signatures(&guest)).unwrap();
    stranger.sign(&herd, &guest);
    assert!(herd.swap(&guest, &[]).is_err());
    riley.terminate();
    riley.wait();
    assert_eq!(fs::read(stored(&herd, "signatures", "Riley", &served)).unwrap(), good);
    let _riley = herd.run("Riley");
    assert_eq!(herd.serving("Riley"), served, "it loads after a restart");
}

/// Goal: the end of a key stops new guests, not those that serve; its removal stops both, at the next start.
#[test]
fn key_that_expired_leaves_its_guest_serving_and_one_that_was_removed_does_not() {
    let herd = Herd::of_one();
    let [release, other] = ["release", "other"].map(|name| Signer::new(&herd, name));
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let restart = |riley: &mut Process, settings: &[&str]| {
        riley.terminate();
        riley.wait();
        herd.run_with("Riley", settings)
    };
    let mut riley = herd.run_with("Riley", &[&release.trusted()]);
    let built_in = herd.serving("Riley");
    herd.swap(&guest, &[]).unwrap();
    let served = herd.serving("Riley");

    riley = restart(&mut riley, &[&release.trusted_until("2020-01-01")]);
    assert_eq!(herd.serving("Riley"), served, "it serves on after a restart");
    riley.await_log(&["a key that signed the guest has expired; the guest serves on"]);
    let status = run(&herd, &["status"]).unwrap();
    assert!(
        status.contains("signed by release, expired")
            && status.contains("signature: key release, which signed the guest of Riley, expired at 2020-01-01"),
        "{status}"
    );
    let next = copy_guest(&herd, WATCH, "watch");
    release.sign(&herd, &next);
    let said = herd.swap(&next, &[]).unwrap_err();
    assert!(said.contains(&format!("release ({}) signed it, and expired at 2020-01-01", release.id)), "{said}");
    // The generation that is loaded is the way back, whatever its key is worth by now.
    assert!(run(&herd, &["rollback"]).is_ok());
    assert_eq!(herd.serving("Riley"), built_in);
    assert!(run(&herd, &["rollback"]).is_ok());
    assert_eq!(herd.serving("Riley"), served);

    riley = restart(&mut riley, &[&other.trusted()]);
    assert_eq!(herd.serving("Riley"), built_in, "nobody answers for it any more");
    riley.await_log(&["the guest of its last swap cannot serve; starting with the configured one"]);
    herd.await_audited("Riley", &[&format!("key {} signed it, which is not one of", release.id)]);
    let said = run(&herd, &["rollback", "--node", "Riley"]).unwrap_err();
    assert!(said.contains("there is no previous generation to go back to"), "{said}");
}

/// Goal: a previous generation that nobody answers for is left out at a start that requires signatures, which is audited, so that no rollback
/// returns to it.
#[test]
fn previous_generation_without_signatures_is_left_out_at_a_start_that_requires_them() {
    let herd = Herd::of_one();
    let release = Signer::new(&herd, "release");
    let mut riley = herd.run("Riley");
    let unsigned = copy_guest(&herd, HELLO, "hello");
    herd.swap(&unsigned, &[]).unwrap();
    let signed = copy_guest(&herd, WATCH, "watch");
    release.sign(&herd, &signed);
    herd.swap(&signed, &[]).unwrap();
    let served = herd.serving("Riley");
    riley.terminate();
    riley.wait();
    let _riley = herd.run_with("Riley", &[&release.trusted()]);
    assert_eq!(herd.serving("Riley"), served);
    herd.await_audited("Riley", &["at the start: it is not signed"]);
    for arguments in [&["rollback", "--node", "Riley"][..], &["rollback"]] {
        let _ = run(&herd, arguments);
        assert_eq!(herd.serving("Riley"), served, "{arguments:?}");
    }
    eventually("the refusal of the rollback is audited", || {
        let audit = audit(&herd, "Riley");
        if audit.matches("it is not signed").count() > 1 { Ok(()) } else { Err(audit) }
    });
}

/// Goal: a key that is missing for one start does not cost the records that its guest wrote. Method: a record of the second form, which only
/// that guest converts; a start without the key, and one with it.
#[test]
fn guest_that_converts_records_survives_a_start_at_which_its_key_is_missing() {
    let herd = Herd::of_one();
    let [release, other] = ["release", "other"].map(|name| Signer::new(&herd, name));
    let guest = herd.scratch().write("second.wasm", fs::read(Fixture::SecondForm).unwrap());
    release.sign(&herd, &guest);
    let mut riley = herd.run_with("Riley", &[&release.trusted()]);
    herd.swap(&guest, &[]).unwrap();
    let told = herd.client("Riley").ask("IAMAT kiwi +34.068930-118.445127 1520023934.918963997");
    assert!(herd.herd(&["swap", "--built-in"]).status.success());
    let located = || herd.client("Riley").ask_places("WHATSAT kiwi 1 1").0;
    assert_eq!(located(), told);
    let restart = |riley: &mut Process, settings: &[&str]| {
        riley.terminate();
        riley.wait();
        herd.run_with("Riley", settings)
    };
    riley = restart(&mut riley, &[&other.trusted()]);
    assert_ne!(located(), told, "nobody answers for what would convert it");
    let digest = Digest::of(&fs::read(&guest).unwrap()).to_string();
    herd.await_audited("Riley", &["at the start: ", &release.id, "which is not one of"]);
    assert!(stored(&herd, "forms", "Riley", &digest).exists());
    let _riley = restart(&mut riley, &[&release.trusted()]);
    assert_eq!(located(), told);
}

#[test]
fn guest_of_the_configuration_needs_signatures_too() {
    let herd = Herd::of_one();
    let release = Signer::new(&herd, "release");
    let guest = copy_guest(&herd, HELLO, "hello");
    let configured = format!("guest={}", guest.display());
    let trusted = release.trusted();
    let said = run(&herd, &["run", "Riley", "--set", &configured, "--set", &trusted]).unwrap_err();
    assert!(said.contains("herd: the guest cannot serve Riley: not parsed: it is not signed, and this node requires the signature of release"), "{said}");
    let said = run(&herd, &["config", "check", "--set", &configured, "--set", &trusted]).unwrap_err();
    assert!(said.contains("the guest of the configuration is not accepted: it is not signed"), "{said}");
    release.sign(&herd, &guest);
    drop(herd.run_with("Riley", &[&configured, &trusted]));
    // A key that has expired does not keep a node from starting.
    let _riley = herd.run_with("Riley", &[&configured, &release.trusted_until("2020-01-01")]);
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
    assert_eq!(herd.status("Riley")["generations"]["active"]["signature"]["signed_by"][0]["expired"], true);
}

/// Goal: a herd that follows a file takes it once it is signed, as builds sign after they write.
#[test]
fn watch_takes_a_guest_when_its_signature_comes_behind() {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let guest = herd.scratch().path("guest.wasm");
    let mut up = herd.up_watching(&guest);
    up.await_line("herd ready");
    fs::copy(HELLO, &guest).unwrap();
    up.await_log(&["error: guest.wasm not parsed: it is not signed"]);
    release.sign(&herd, &guest);
    let line = up.next_line();
    assert!(line.starts_with("generation 2 (") && line.ends_with(" serving"), "{line}");
    assert_eq!(herd.client("Riley").ask("you"), "hello, you");
}

#[test]
fn keygen_writes_private_files_and_replaces_none() {
    let herd = Herd::of_one();
    let key = Signer::new(&herd, "release");
    assert_eq!(fs::metadata(&key.private).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_to_string(&key.public).unwrap(),
        format!("untrusted comment: minisign public key {}\n{}\n", key.id, key.line)
    );
    let keys = shown(key.private.parent().unwrap());
    let said = run(&herd, &["keygen", "release", "--out", &keys]).unwrap_err();
    assert!(said.contains("release.key exists; what it signed would be worth nothing"), "{said}");
    let said = run(&herd, &["keygen", "../release", "--out", &keys]).unwrap_err();
    assert!(said.contains("is no name for a key"), "{said}");
    let printed = run(&herd, &["keygen", "other", "--out", &keys]).unwrap();
    assert!(printed.contains("[swap.require_signature.keys]\nother = { key = \"RW"), "{printed}");

    let guest = copy_guest(&herd, HELLO, "hello");
    fs::set_permissions(&key.private, fs::Permissions::from_mode(0o640)).unwrap();
    let sign = |guest: &Path| run(&herd, &["sign", &shown(guest), "--key", &shown(&key.private)]);
    let said = sign(&guest).unwrap_err();
    assert!(said.contains("is readable by other users: chmod 600"), "{said}");
    fs::set_permissions(&key.private, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(sign(&guest).unwrap().contains(&format!("with key {}; 1 signature in ", key.id)));
    assert!(sign(&guest).unwrap().contains("; 1 signature in "), "one of each key");
    let text = herd.scratch().write("text.wasm", "(component)");
    assert!(sign(&text).unwrap_err().contains("is no component, so nothing was signed"));
    fs::write(Signer::signatures(&guest), "not signatures").unwrap();
    assert!(
        sign(&guest).unwrap_err().contains("from line 1 on it is no signature"),
        "a file of something else is left alone"
    );
    assert_eq!(fs::read(Signer::signatures(&guest)).unwrap(), b"not signatures");
}

#[test]
fn inspect_says_who_signed_a_guest_and_whether_the_configuration_accepts_it() {
    let herd = Herd::of_one();
    let key = Signer::new(&herd, "release");
    let guest = copy_guest(&herd, HELLO, "hello");
    let inspect = |options: &[&str]| {
        let ran = herd.herd(&[&["inspect", &shown(&guest)], options].concat());
        (String::from_utf8_lossy(&ran.stdout).into_owned(), ran.status.code())
    };
    let trusted = key.trusted();
    let strict = ["--set", trusted.as_str()];
    let (said, code) = inspect(&[]);
    assert!(
        said.contains("\nsigned   no\n") && said.contains("\nspeaks   herd:logic@0.1.0\n") && code == Some(0),
        "{said}"
    );
    assert!(
        said.contains("\nrescue   the built-in guest decides what this one faults on, and reads all that it writes"),
        "{said}"
    );
    let (said, code) = inspect(&strict);
    assert!(said.contains("\naccepted no: it is not signed") && code == Some(1), "{said}");
    key.sign(&herd, &guest);
    let (said, code) = inspect(&strict);
    assert!(
        said.contains(&format!("\nsigned   by release ({}), which says: timestamp:", key.id)) && code == Some(0),
        "{said}"
    );
    let (said, _) = inspect(&["--json", "--set", &trusted]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["signature"]["signatures"][0]["verdict"], &said["rescue"]["reads_all"]),
        (&"valid".into(), &true.into())
    );
    assert!(
        said["memories"][0]["initial_bytes"].as_u64().unwrap() > 0 && !said["tables"].as_array().unwrap().is_empty()
    );
    let _riley = herd.run("Riley");
    let (said, _) = inspect(&[]);
    assert!(said.contains(", which Riley serves, decides what this one faults on"), "{said}");
}

/// Goal: keys and signatures are those of minisign, both ways. Method: the tool of Debian.
#[test]
fn signatures_are_those_of_minisign_both_ways() {
    let Some(minisign) = tool("minisign", "minisign") else { return };
    let plan = Herd::of_one();
    let directory = plan.scratch().path("minisign");
    fs::create_dir(&directory).unwrap();
    let minisign = |arguments: &[&str]| {
        let ran = Command::new(&minisign)
            .args(arguments)
            .current_dir(&directory)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        if ran.status.success() { Ok(said) } else { Err(said) }
    };
    // Its key and signature are taken by nodes and by herd sign.
    minisign(&["-G", "-W", "-p", "mira.pub", "-s", "mira.key"]).unwrap();
    let public = fs::read_to_string(directory.join("mira.pub")).unwrap();
    let line = public.lines().nth(1).unwrap();
    let ada = Signer::new(&plan, "ada");
    let herd = plan.with(&format!("swap.require_signature.keys.mira={{ key = \"{line}\" }}")).with(&ada.trusted());
    let _riley = herd.run("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    minisign(&["-S", "-s", "mira.key", "-m", &shown(&guest)]).unwrap();
    herd.swap(&guest, &[]).unwrap();
    assert_eq!(herd.status("Riley")["generations"]["active"]["signature"]["signed_by"][0]["name"], "mira");
    fs::remove_file(Signer::signatures(&guest)).unwrap();
    run(&herd, &["sign", &shown(&guest), "--key", &shown(&directory.join("mira.key")), "--comment", "made by herd"])
        .unwrap();
    let said = minisign(&["-V", "-p", "mira.pub", "-m", &shown(&guest)]).unwrap();
    assert!(said.contains("Signature and comment signature verified") && said.contains("made by herd"), "{said}");
    // What herd keygen and herd sign make is verified by it, and its key file is read.
    let watch = copy_guest(&herd, WATCH, "watch");
    ada.sign(&herd, &watch);
    assert!(minisign(&["-V", "-p", &shown(&ada.public), "-m", &shown(&watch)]).is_ok());
    minisign(&["-S", "-s", &shown(&ada.private), "-x", "by-ada.minisig", "-m", &shown(&watch)]).unwrap();
    herd.swap_with(&watch, &["--signature", &shown(&directory.join("by-ada.minisig"))]).unwrap();
    let mut changed = fs::read(&watch).unwrap();
    changed.push(0);
    fs::write(&watch, changed).unwrap();
    assert!(
        minisign(&["-V", "-p", &shown(&ada.public), "-m", &shown(&watch)]).unwrap_err().contains("verification failed")
    );
    // The file on the disk of a node is one that it verifies.
    let served = herd.serving("Riley");
    let (component, signatures) =
        (stored(&herd, "generations", "Riley", &served), stored(&herd, "signatures", "Riley", &served));
    assert!(minisign(&["-V", "-p", &shown(&ada.public), "-m", &shown(&component), "-x", &shown(&signatures)]).is_ok());
    // The older kind of signature is refused with what to do.
    minisign(&["-S", "-l", "-s", "mira.key", "-x", "older.minisig", "-m", DEFAULT_GUEST]).unwrap();
    let said = herd.swap_with(DEFAULT_GUEST, &["--signature", &shown(&directory.join("older.minisig"))]).unwrap_err();
    assert!(said.contains("or one of the older kind (minisign -S -l)"), "{said}");
}
