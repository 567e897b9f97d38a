//! Guests from a registry: pushed to Debian's registry, pulled by digest, and refused when a tag moved or a registry lies.

use std::fs;

use anyhow::{Context, Result, anyhow};
use herd_model::Digest;
use herd_tests::{
    Bar, DockerRegistry, HELLO, Herd, Lie, RegistryInMemory, RegistryUser, Reporter, Row, Signer, WATCH, copy_guest,
};

pub(crate) const ROW: Row = Row {
    name: "registry",
    figures: &[
        Bar { figure: "guest pushed, pulled by digest, served", bar: "digest of the file, signed" },
        Bar { figure: "tag without a digest", bar: "refused, says what to type" },
        Bar { figure: "tag that moved", bar: "refused, names both" },
        Bar { figure: "registry that lies, ways refused", bar: "all" },
        Bar { figure: "passwords that reached another host", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    lies(reporter)?;
    pushed(reporter)
}

fn pushed(reporter: &mut Reporter<'_>) -> Result<()> {
    let plan = Herd::of_one();
    let release = Signer::new(&plan, "release");
    let herd = plan.with(&release.trusted());
    let registry = DockerRegistry::start(herd.scratch()).context("docker-registry is not installed")?;
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let reference = format!("oci://{}/team/guest:1", registry.host());
    let guest = copy_guest(&herd, HELLO, "hello");
    release.sign(&herd, &guest);
    let pushed = user.push(&herd, &guest, &reference, &[]).map_err(|said| anyhow!(said))?;
    user.ask(&herd, &["swap", &pushed]).map_err(|said| anyhow!(said))?;
    let active = herd.status("Riley")["generations"]["active"].clone();
    let (is, signer) = (&active["digest"], &active["signature"]["signed_by"][0]["name"]);
    let holds = *is == Digest::of(&fs::read(HELLO)?).to_string() && signer == "release";
    reporter.show(
        "guest pushed, pulled by digest, served",
        if holds { "digest of the file, signed" } else { "another" },
        holds,
    );
    let said = user.ask(&herd, &["swap", &reference]).err().unwrap_or_default();
    let holds = said.contains(&pushed);
    reporter.show("tag without a digest", if holds { "refused, says what to type" } else { "not refused" }, holds);

    let other = copy_guest(&herd, WATCH, "watch");
    release.sign(&herd, &other);
    let moved = user.push(&herd, &other, &reference, &[]).map_err(|said| anyhow!(said))?;
    let said = user.ask(&herd, &["swap", &pushed]).err().unwrap_or_default();
    let holds = said.contains("the tag 1 has moved: ") && said.contains(&moved);
    reporter.show("tag that moved", if holds { "refused, names both" } else { "not refused" }, holds);
    Ok(())
}

fn lies(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let (registry, other) = (RegistryInMemory::with_password(), RegistryInMemory::for_everybody());
    let user = RegistryUser::new(herd.scratch(), &[&registry.host()]);
    let _riley = herd.run("Riley");
    let before = herd.serving("Riley");
    let reference = |tag: &str| format!("oci://{}/team/guest:{tag}", registry.host());
    let push =
        |guest: &str, tag: &str| user.push(&herd, guest.as_ref(), &reference(tag), &[]).map_err(|said| anyhow!(said));
    push(WATCH, "2")?;
    let by_digest = push(HELLO, "1")?.replace(":1@", "@");
    other.copy(&registry);
    let lies = [
        Lie::OtherManifest,
        Lie::EndlessManifest,
        Lie::Index,
        Lie::ChangedGuest,
        Lie::LongGuest,
        Lie::ShortGuest,
        Lie::EndlessGuest,
        Lie::Circle,
        Lie::Echo,
        Lie::TokensAt("https://tokens.example/".into()),
        Lie::TokensAt("http://tokens.example/".into()),
    ];
    let mut refused = 0;
    for lie in &lies {
        registry.lie(lie.clone());
        let said = user.ask(&herd, &["swap", &by_digest]);
        let is_refused = said.is_err() && herd.serving("Riley") == before;
        refused += usize::from(is_refused);
        if !is_refused {
            reporter.tell("not refused", format!("{lie:?}"));
        }
    }
    let all = lies.len();
    reporter.show("registry that lies, ways refused", format!("{refused} of {all}"), refused == all);

    // A store of blobs elsewhere may be asked, by nobody in particular.
    registry.lie(Lie::GuestAt(other.host()));
    user.ask(&herd, &["swap", &by_digest]).map_err(|said| anyhow!(said))?;
    registry.lie(Lie::UploadAt(other.host()));
    let upload = user.push(&herd, herd_tests::RESP.as_ref(), &reference("3"), &[]);
    let (asked, reached) = (other.requests().len(), other.with_credentials());
    let holds = asked == 1 && reached == 0 && upload.is_err();
    reporter.show("passwords that reached another host", format!("{reached} in {asked} request"), holds);
    Ok(())
}
