//! Guests from OCI registries: pushed, pulled by digest, and refused when anything is not what the digest says.

use std::fs;

use herd_model::Digest;
use herd_tests::{DockerRegistry, HELLO, Herd, Lie, RegistryInMemory, RegistryUser, Signer, WATCH, copy_guest};

/// Goal: a guest goes through a registry as a file goes to a node: same digest, its signatures and its transcripts with it. Method: Debian's
/// registry with a password; a node that requires a signature; then a transcript that the guest fails.
#[test]
fn registry_guest_is_pushed_and_served_by_its_digest_with_signatures_and_transcripts() {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let Some(registry) = DockerRegistry::start(herd.scratch()) else { return };
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    let reference = format!("oci://{}/team/hello:1", registry.host());

    let unsigned = user.push(&herd, &guest, &reference, &[]).unwrap();
    assert!(unsigned.starts_with(&format!("{reference}@sha256:")), "{unsigned}");
    let said = user.ask(&herd, &["swap", &unsigned]).unwrap_err();
    assert!(said.contains("not parsed: it is not signed"), "{said}");

    release.sign(&herd, &guest);
    let signed = user.push(&herd, &guest, &reference, &[]).unwrap();
    assert_eq!(user.push(&herd, &guest, &reference, &[]).unwrap(), signed, "a second push moves no tag");
    user.ask(&herd, &["swap", &signed]).unwrap();
    let active = herd.status("Riley")["generations"]["active"].clone();
    assert_eq!(active["digest"], Digest::of(&fs::read(HELLO).unwrap()).to_string());
    assert_eq!(active["signature"]["signed_by"][0]["name"], "release");

    let failing = herd.scratch().write("failing.herd", "> HELLO kiwi\n< nothing of the kind\n");
    let tested = user.push(&herd, &guest, &reference, &["--transcripts", &failing.to_string_lossy()]).unwrap();
    let said = user.ask(&herd, &["swap", &tested]).unwrap_err();
    assert!(said.contains("not rehearsed: ") && said.contains("failing.herd"), "{said}");
    let shown = user.run(&herd, &["inspect", &tested, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["reference"], &shown["digest"]), (&tested.as_str().into(), &active["digest"]));
}

/// Goal: what serves does not depend on who may move a tag. Method: a swap by tag alone; a tag that moved after it was noted.
#[test]
fn registry_tag_is_refused_without_a_digest_and_after_it_moved() {
    let herd = Herd::of_one();
    let registry = RegistryInMemory::with_password();
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let before = herd.serving("Riley");
    let reference = format!("oci://{}/team/guest:1", registry.host());
    let hello = user.push(&herd, &copy_guest(&herd, HELLO, "hello"), &reference, &[]).unwrap();
    let said = user.ask(&herd, &["swap", &reference]).unwrap_err();
    assert!(said.contains(&hello), "it says what to type: {said}");

    let watch = user.push(&herd, &copy_guest(&herd, WATCH, "watch"), &reference, &[]).unwrap();
    let said = user.ask(&herd, &["swap", &hello]).unwrap_err();
    let digest = hello.rsplit_once('@').unwrap().1;
    let untagged = format!("oci://{}/team/guest@{digest}", registry.host());
    assert!(said.contains("the tag 1 has moved: ") && said.contains(&watch) && said.contains(&untagged), "{said}");
    assert_eq!(herd.serving("Riley"), before);
    user.ask(&herd, &["swap", &untagged]).unwrap();
    assert_ne!(herd.serving("Riley"), before);
    for (wrong, why) in
        [(&watch, "a push names a tag and no digest"), (&"oci://h/r".into(), "neither a tag nor a digest")]
    {
        let said = user.push(&herd, HELLO.as_ref(), wrong, &[]).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    let said = user.ask(&herd, &["swap", &watch, "--watch"]).unwrap_err();
    assert!(said.contains("--watch follows a file"), "{said}");
}

/// Goal: nothing that a registry answers is taken for what it is not. Method: every lie to a swap by digest.
#[test]
fn registry_that_lies_is_refused_and_nothing_changes() {
    let herd = Herd::of_one();
    let registry = RegistryInMemory::with_password();
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let before = herd.serving("Riley");
    let reference = |name: &str| format!("oci://{}/team/guest:{name}", registry.host());
    user.push(&herd, &copy_guest(&herd, WATCH, "watch"), &reference("2"), &[]).unwrap();
    let tagged = user.push(&herd, &copy_guest(&herd, HELLO, "hello"), &reference("1"), &[]).unwrap();
    let by_digest = tagged.replace(":1@", "@");
    for (lie, says) in [
        (Lie::OtherManifest, "lies: its manifest has the digest"),
        (Lie::EndlessManifest, "answered with more than 4194304 bytes"),
        (Lie::Index, "lies: its manifest has the digest"),
        (Lie::ChangedGuest, "lies: the guest has the digest"),
        (Lie::LongGuest, "lies: the guest has more than the"),
        (Lie::ShortGuest, "lies: the guest has fewer than the"),
        (Lie::EndlessGuest, "lies: the guest has more than the"),
        (Lie::Circle, "leads in a circle"),
        (Lie::Echo, "refuses the stored credentials (403 DENIED)"),
    ] {
        registry.lie(lie.clone());
        let said = user.ask(&herd, &["swap", &by_digest]).unwrap_err();
        assert!(said.contains(says), "{lie:?}: {said}");
        assert_eq!(herd.serving("Riley"), before, "{lie:?}");
    }
    registry.lie(Lie::OtherManifest);
    let said = user.ask(&herd, &["swap", &tagged]).unwrap_err();
    assert!(said.contains("the tag 1 has moved: "), "{said}");
    registry.lie(Lie::Index);
    let said = user.ask(&herd, &["inspect", &reference("1")]).unwrap_err();
    assert!(said.contains("it is no single artifact"), "{said}");
    registry.lie(Lie::None);
    user.ask(&herd, &["swap", &tagged]).unwrap();
}

/// Goal: the password goes to the registry that the operator named and to nobody else. Method: a registry that leads to another host for a guest,
/// for tokens and for an upload; what came there is looked at. That no output has the password is checked with every command.
#[test]
fn registry_credentials_go_to_no_other_host() {
    let herd = Herd::of_one();
    let (registry, other) = (RegistryInMemory::with_password(), RegistryInMemory::for_everybody());
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let reference = format!("oci://{}/team/guest:1", registry.host());
    let guest = copy_guest(&herd, HELLO, "hello");
    let pushed = user.push(&herd, &guest, &reference, &[]).unwrap();
    assert!(registry.with_credentials() > 0);

    // A store of blobs elsewhere is usual: it is asked, as anybody would ask it.
    other.copy(&registry);
    registry.lie(Lie::GuestAt(other.host()));
    user.ask(&herd, &["swap", &pushed]).unwrap();
    assert_eq!((other.requests().len(), other.with_credentials()), (1, 0));

    registry.lie(Lie::UploadAt(other.host()));
    let said = user.push(&herd, &copy_guest(&herd, WATCH, "watch"), &reference, &[]).unwrap_err();
    assert!(said.contains("leads to another host for the upload"), "{said}");
    // Not the address of a registry on loopback: a host that a name is needed for.
    registry.lie(Lie::TokensAt(format!("https://tokens.example:{}/", 1)));
    let said = user.ask(&herd, &["swap", &pushed]).unwrap_err();
    assert!(said.contains("wants its password to be sent to tokens.example:1; nothing was sent"), "{said}");
    registry.lie(Lie::TokensAt("http://tokens.example/".into()));
    let said = user.ask(&herd, &["swap", &pushed]).unwrap_err();
    assert!(said.contains("a service for tokens over http"), "{said}");
    assert_eq!((other.requests().len(), other.with_credentials()), (1, 0));

    // No credentials, and those of somebody else.
    registry.lie(Lie::None);
    let stranger = RegistryUser::new(herd.scratch(), &[&other.host()]);
    let said = stranger.ask(&herd, &["swap", &pushed]).unwrap_err();
    assert!(
        said.contains("wants credentials, and there are none for it in ") && said.contains("config.json"),
        "{said}"
    );
    let said = user.ask(&herd, &["swap", &pushed.replace("127.0.0.1", "127.0.0.1.invalid")]).unwrap_err();
    assert!(said.contains("cannot be reached") || said.contains("in time"), "over https, and not there: {said}");
}
