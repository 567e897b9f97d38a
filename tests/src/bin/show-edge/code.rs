//! Compiled code that was tampered with: bundles, and the cache. On a node of the full program that is told not to compile guests of swaps, and on
//! one that compiles.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use herd_code::Bundle;
use herd_tests::{Bar, HELLO, Herd, Reporter, Row, Signer, WATCH, copy_guest};

pub(crate) const ROW: Row = Row {
    name: "code",
    figures: &[
        Bar { figure: "code of nobody, of a stranger, changed: refused", bar: "all" },
        Bar { figure: "code for another processor, engine, guest: refused", bar: "all" },
        Bar { figure: "signed code for this machine", bar: "serves" },
        Bar { figure: "cached code tampered with: compiled anew, and said", bar: "all" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    bundles(reporter)?;
    cache(reporter)
}

fn bundles(reporter: &mut Reporter<'_>) -> Result<()> {
    let plan = Herd::of_one();
    let [release, stranger] = ["release", "stranger"].map(|name| Signer::new(&plan, name));
    let herd = plan.with(&release.trusted()).with("runtime.compile=false");
    let _riley = herd.run("Riley");
    let before = herd.serving("Riley");
    let guest = copy_guest(&herd, HELLO, "hello");
    let compile = |name: &str, target: &[&str]| -> Result<PathBuf> {
        let bundle = guest.with_file_name(format!("{name}.bundle"));
        let (from, out) = (guest.to_string_lossy().into_owned(), bundle.to_string_lossy().into_owned());
        let compiled = herd.herd(&[&["compile", &from, "--out", &out], target].concat());
        ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Ok(bundle)
    };
    let signed = |name: &str, target: &[&str]| -> Result<PathBuf> {
        let bundle = compile(name, target)?;
        release.sign(&herd, &bundle);
        Ok(bundle)
    };
    let refused = |reporter: &mut Reporter<'_>, what: &str, bundle: &Path, says: &str| {
        let said = herd.swap(bundle, &[]).err().unwrap_or_default();
        let holds = said.contains(says) && herd.serving("Riley") == before;
        if !holds {
            reporter.tell(what, said);
        }
        usize::from(holds)
    };

    let mut count = refused(reporter, "unsigned", &compile("unsigned", &[])?, "it is not signed");
    let of_a_stranger = compile("stranger", &[])?;
    stranger.sign(&herd, &of_a_stranger);
    count += refused(reporter, "signed by a stranger", &of_a_stranger, "which is not one of");
    let changed = edited(&signed("changed", &[])?, |bundle| bundle.codes[0].code[5000] ^= 1)?;
    count += refused(reporter, "changed", &changed, "does not fit");
    reporter.show("code of nobody, of a stranger, changed: refused", format!("{count} of 3"), count == 3);

    let other_processor = signed("arm", &["--target", "aarch64-linux"])?;
    count = refused(reporter, "another processor", &other_processor, "herd compile GUEST --target x86_64-linux");
    let other_engine =
        edited(&compile("engine", &[])?, |bundle| bundle.codes[0].of.compiler = "wasmtime 1.0.0".into())?;
    release.sign(&herd, &other_engine);
    count += refused(reporter, "another engine", &other_engine, "by wasmtime 1.0.0");
    let watch = fs::read(WATCH)?;
    let other_guest = edited(&signed("guest", &[])?, |bundle| bundle.guest = watch.clone())?;
    count += refused(reporter, "another guest", &other_guest, "was made of another component");
    reporter.show("code for another processor, engine, guest: refused", format!("{count} of 3"), count == 3);

    let swapped = herd.swap(signed("good", &[])?, &[]);
    let serves = swapped.is_ok() && herd.serving("Riley") != before;
    reporter.show(
        "signed code for this machine",
        if serves { "serves".into() } else { format!("{swapped:?}") },
        serves,
    );
    Ok(())
}

/// Changes a bundle in its file, as somebody can who has it.
fn edited(path: &Path, edit: impl FnOnce(&mut Bundle)) -> Result<PathBuf> {
    let mut bundle = Bundle::decode(&fs::read(path)?)?;
    edit(&mut bundle);
    fs::write(path, bundle.encode())?;
    Ok(path.into())
}

fn cache(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let mut riley = herd.run("Riley");
    herd.swap(HELLO, &[]).map_err(anyhow::Error::msg)?;
    let (hello, directory) = (herd.serving("Riley"), herd.state_directory().join("code"));
    let file = |prefix: &str| -> Result<PathBuf> {
        let entries = fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path()));
        let of_guest = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        entries.into_iter().find(of_guest).with_context(|| format!("no code of {prefix}"))
    };
    let (path, others) =
        (file(&hello)?, fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>());
    let whole = fs::read(&path)?;
    let other = others.iter().find(|other| **other != path).context("code of the built-in guest")?;
    let damages: [&dyn Fn() -> std::io::Result<()>; 4] = [
        &|| {
            fs::write(&path, whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 9000)).collect::<Vec<_>>())
        },
        &|| fs::write(&path, &whole[..whole.len() / 2]),
        &|| fs::copy(other, &path).map(drop),
        &|| fs::remove_file(&path).and_then(|()| std::os::unix::fs::symlink(other, &path)),
    ];
    let mut found = 0;
    for damage in damages {
        riley.terminate();
        riley.wait();
        damage()?;
        let before = riley.log().matches("cached code of a guest is not used").count();
        riley = herd.run("Riley");
        let is_said = riley.log().matches("cached code of a guest is not used").count() > before;
        found += usize::from(is_said && herd.serving("Riley") == hello);
    }
    let all = damages.len();
    reporter.show("cached code tampered with: compiled anew, and said", format!("{found} of {all}"), found == all);
    Ok(())
}
