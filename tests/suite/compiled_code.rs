//! Nodes that do not compile: where they get code from, and whose code they refuse. Nodes of the full program, told not to compile.

use std::fs;
use std::path::{Path, PathBuf};

use herd_tests::{HELLO, Herd, Signer, WATCH, copy_guest, eventually};
use serde_json::Value;

/// Setting of a node that does not compile.
const DOES_NOT: &str = "runtime.compile=false";

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Compiles a guest into a bundle.
fn compile(herd: &Herd, guest: &Path, targets: &[&str]) -> PathBuf {
    let bundle = guest.with_extension("bundle");
    let targets = targets.iter().flat_map(|target| ["--target", target]);
    let arguments: Vec<&str> = ["compile"].into_iter().chain(targets).collect();
    let compiled = herd.herd(&[&arguments[..], &[&shown(guest), "--out", &shown(&bundle)]].concat());
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    bundle
}

/// Goal: a node that does not compile swaps with its herd, with code of the node that the configuration names, and keeps it over a restart.
/// Method: Riley compiles for Campbell, which is linked to it, and swaps of the herd, of the node alone, and as a canary.
#[test]
fn node_that_does_not_compile_gets_code_from_a_compiler_and_keeps_it() {
    let herd = Herd::of(&[("Riley", &["Campbell", "Jaquez"]), ("Jaquez", &[]), ("Campbell", &[])])
        .with("swap.compilers=[\"Riley\"]");
    let (_riley, _jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
    let mut campbell = herd.run_with("Campbell", &[DOES_NOT]);
    herd.await_linked(&herd.names());
    herd.swap(HELLO, &[]).unwrap();
    let hello = herd.serving("Riley");
    assert_eq!(herd.serving("Campbell"), hello);
    assert!(campbell.log().contains("took compiled code of a guest"), "{}", campbell.log());

    // Alone, the component travels to the compiler first: no other node has it.
    herd.swap(WATCH, &["Campbell"]).unwrap();
    let watch = herd.serving("Campbell");
    assert_ne!(watch, hello);
    let taken = |log: String| log.matches("took compiled code of a guest").count();
    assert_eq!(taken(campbell.log()), 2);
    campbell.kill();
    let campbell = herd.run_with("Campbell", &[DOES_NOT]);
    assert_eq!(herd.serving("Campbell"), watch, "from its cache: no link was up yet");
    assert_eq!(taken(campbell.log()), 2, "nobody was asked again");
}

/// Goal: a node runs nobody's code that the configuration does not name, and says what to do. Method: a herd without `swap.compilers`; then
/// with a name of a node that is no neighbour.
#[test]
fn node_that_does_not_compile_refuses_a_swap_without_a_compiler() {
    for setting in ["swap.compilers=[]", "swap.compilers=[\"Jaquez\"]"] {
        let herd = Herd::of(&[("Riley", &["Campbell", "Jaquez"]), ("Jaquez", &[]), ("Campbell", &[])]).with(setting);
        let (_riley, _jaquez) = (herd.run("Riley"), herd.run("Jaquez"));
        let _campbell = herd.run_with("Campbell", &[DOES_NOT]);
        herd.await_linked(&herd.names());
        let before = herd.serving("Campbell");
        let said = herd.swap(HELLO, &[]).unwrap_err();
        assert!(said.contains("Campbell: not compiled: "), "{said}");
        assert!(said.contains("swap.compilers") && said.contains("herd compile GUEST --target"), "{said}");
        assert_eq!((herd.serving("Campbell"), herd.serving("Riley")), (before.clone(), before));
    }
}

/// Goal: a herd in which no node compiles swaps to a bundle that a key of it signed, and to nothing else. Method: three nodes in a line,
/// which start with the built-in guest; the bundle goes to one end.
#[test]
fn herd_that_does_not_compile_swaps_to_a_signed_bundle_only() {
    let plan = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]);
    let [release, stranger] = ["release", "stranger"].map(|name| Signer::new(&plan, name));
    let herd = plan.with(&release.trusted()).with(DOES_NOT);
    let (_riley, _jaquez, mut juzang) = (herd.run("Riley"), herd.run("Jaquez"), herd.run("Juzang"));
    herd.await_linked(&herd.names());
    let built_in = herd.serving("Riley");

    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let said = herd.swap(&guest, &[]).unwrap_err();
    assert!(
        said.contains("not compiled: ") && said.contains("herd compile GUEST --target"),
        "a component alone: {said}"
    );

    let bundle = compile(&herd, &guest, &[]);
    let said = herd.swap(&bundle, &[]).unwrap_err();
    assert!(said.contains("the compiled code is not accepted: it is not signed"), "{said}");
    stranger.sign(&herd, &bundle);
    let said = herd.swap(&bundle, &[]).unwrap_err();
    assert!(
        said.contains("the compiled code is not accepted: ")
            && said.contains("which is not one of `swap.require_signature.keys`"),
        "{said}"
    );
    let other = compile(&herd, &guest, &["aarch64-linux"]);
    release.sign(&herd, &other);
    let said = herd.swap(&other, &[]).unwrap_err();
    assert!(
        said.contains("not compiled: ") && said.contains("herd compile GUEST --target"),
        "for another processor: {said}"
    );
    for node in herd.names() {
        assert_eq!(herd.serving(node), built_in, "{node}");
    }

    let bundle = compile(&herd, &guest, &[]);
    release.sign(&herd, &bundle);
    // What another signer compiles and compares.
    let digest = |arguments: &[&str]| {
        let said = herd.herd(&[arguments, &["--json"]].concat()).stdout;
        let digest = serde_json::from_slice::<Value>(&said).unwrap()["code"][0]["digest"].take();
        digest.as_str().unwrap_or_default().to_string()
    };
    let again = digest(&["compile", &shown(&guest), "--out", &shown(&guest.with_extension("again"))]);
    assert_eq!((again.len(), digest(&["inspect", &shown(&bundle)])), (64, again));
    let mut changed = fs::read(&bundle).unwrap();
    let last = changed.len() - 2000;
    changed[last] ^= 1;
    fs::write(bundle.with_extension("changed"), changed).unwrap();
    assert!(herd.swap(bundle.with_extension("changed"), &[]).is_err());
    // So that Jaquez has its code, whichever node answers first afterwards.
    // What was refused may still be on its way out on a busy machine.
    eventually("the bundle at Jaquez", || herd.swap(&bundle, &["Jaquez"]));
    eventually("the bundle in the herd", || herd.swap(&bundle, &[]));
    let hello = herd.serving("Riley");
    assert_ne!(hello, built_in);
    for node in herd.names() {
        assert_eq!(herd.serving(node), hello, "{node}");
    }

    // A node that was away gets it from its neighbours.
    juzang.kill();
    fs::remove_dir_all(herd.state_directory().join("code")).unwrap();
    let _ = fs::remove_dir_all(herd.state_directory().join("signed-code/Juzang"));
    juzang = herd.run("Juzang");
    herd.await_serving(&hello, &["Juzang"]);
    assert!(juzang.log().contains("took compiled code of a guest"), "{}", juzang.log());
}

/// Goal: code does not outlive the trust in whoever made it. Method: a node without a compiler takes code of Riley, and is restarted under a
/// configuration that does not name Riley; then it compiles by itself. Nodes of one host share a cache, so what Riley wrote of the guest for
/// itself is removed first.
#[test]
fn code_in_the_cache_is_not_used_once_its_compiler_is_trusted_no_more() {
    let herd = Herd::of(&[("Riley", &["Campbell"]), ("Campbell", &[])]);
    let named = "swap.compilers=[\"Riley\"]";
    let _riley = herd.run_with("Riley", &[named]);
    let built_in = herd.serving("Riley");
    herd.swap(HELLO, &["Riley"]).unwrap();
    let hello = herd.serving("Riley");
    let digest = herd.status("Riley")["generations"]["active"]["digest"].as_str().unwrap().to_owned();
    let cached = |by: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(herd.state_directory().join("code")).into_iter().flatten();
        let files = files.map(|file| file.unwrap().path());
        let files = files.filter(|path| path.to_string_lossy().contains(&digest));
        // Behind the MAC.
        files.filter(|path| fs::read(path).is_ok_and(|file| file[32..].starts_with(by.as_bytes()))).collect()
    };
    let await_cached = |by: &str| {
        eventually(&format!("code by {by} in the cache"), || match cached(by) {
            none if none.is_empty() => Err("there is none".to_string()),
            found => Ok(found),
        })
    };
    await_cached("own").iter().for_each(|path| fs::remove_file(path).unwrap());
    let mut campbell = herd.run_with("Campbell", &[DOES_NOT, named]);
    herd.await_linked(&herd.names());
    assert_eq!(herd.serving("Campbell"), built_in);
    herd.swap(HELLO, &["Campbell"]).unwrap();
    await_cached("compiler Riley");
    campbell.kill();
    campbell = herd.run_with("Campbell", &[DOES_NOT]);
    campbell.await_log(&[
        "cached code of a guest is not used",
        "Riley compiled it, which the configuration does not trust",
    ]);
    assert_eq!(herd.serving("Campbell"), built_in, "nobody vouches for other code");
    campbell.kill();
    campbell = herd.run_with("Campbell", &[DOES_NOT, named]);
    herd.await_serving(&hello, &["Campbell"]);
    campbell.kill();
    // Its log goes on behind that of the processes before.
    let refusals = |log: &str| log.matches("Riley compiled it, which").count();
    let before = refusals(&campbell.log());
    let campbell = herd.run_with("Campbell", &[]);
    herd.await_serving(&hello, &["Campbell"]);
    assert_eq!(refusals(&campbell.log()), before + 1, "it compiles by itself: {}", campbell.log());
}

/// Goal: a node without a compiler starts with a guest of its own, which a bundle brings.
#[test]
fn guest_of_the_configuration_may_be_a_signed_bundle() {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted()).with(DOES_NOT);
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let bundle = compile(&herd, &guest, &[]);
    release.sign(&herd, &bundle);
    let herd = herd.with(&format!("guest=\"{}\"", bundle.display()));
    let _riley = herd.run("Riley");
    let hello = herd_model::Digest::of(&fs::read(&guest).unwrap()).to_string();
    assert_eq!(herd.status("Riley")["generations"]["active"]["digest"], hello);
    assert_eq!(fs::read_dir(herd.state_directory().join("signed-code/Riley")).unwrap().count(), 1);
    let checked = herd.herd(&["config", "check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
