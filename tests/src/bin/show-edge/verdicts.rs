//! Verdicts: `herd inspect` says of any file what it is, and of a component why no node would run it.

use std::fs;

use anyhow::Result;
use herd_tests::{Bar, DEFAULT_GUEST, Fixture, HELLO, Herd, Reporter, Row};

pub(crate) const ROW: Row = Row {
    name: "verdicts",
    figures: &[
        Bar { figure: "files that are no guest, each with its sentence", bar: "all" },
        Bar { figure: "guests with contract, memory, form and signature", bar: "all" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let good = fs::read(HELLO)?;
    let cases = [
        ("core.wasm", b"\0asm\x01\0\0\0".to_vec(), "a core module, not a component"),
        ("text.wat", b"(component)".to_vec(), "WebAssembly text; a guest is binary"),
        ("garbage.wasm", b"garbage".to_vec(), "not WebAssembly"),
        ("cut.wasm", good[..good.len() - 7].to_vec(), "cut off: the file ends after"),
        ("native.wasm", b"\x7fELF\x02\x01\x01".to_vec(), "native code"),
        ("empty.wasm", Vec::new(), "the file is empty"),
        ("world.wasm", fs::read(Fixture::OtherWorld)?, "does not export herd:logic/logic@"),
        ("version.wasm", fs::read(Fixture::OtherVersion)?, "and this host offers"),
        ("greedy.wasm", fs::read(Fixture::Greedy)?, "beyond   wasi:keyvalue does not link: records"),
    ];
    let mut told = 0;
    for (name, bytes, says) in &cases {
        let file = herd.scratch().write(name, bytes);
        let ran = herd.herd(&["inspect", &file.to_string_lossy()]);
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if said.contains(says) && ran.status.code() == Some(1) {
            told += 1;
        } else {
            reporter.tell(name, said.lines().last().unwrap_or_default());
        }
    }
    let all = cases.len();
    reporter.show("files that are no guest, each with its sentence", format!("{told} of {all}"), told == all);
    let facts = ["\nspeaks   herd:logic@", "\nmemory   ", "\ntable    ", "\nform     ", "\nsigned   ", "\nrescue   "];
    let told = [HELLO, DEFAULT_GUEST].iter().filter(|guest| {
        let said = herd.herd(&["inspect", guest]).stdout;
        let said = String::from_utf8_lossy(&said);
        facts.iter().all(|fact| said.contains(fact))
    });
    let told = told.count();
    reporter.show("guests with contract, memory, form and signature", format!("{told} of 2"), told == 2);
    Ok(())
}
