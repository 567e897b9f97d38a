//! Advice on imports that the contract does not have: what brings them in, in each language, and what to do.
//!
//! Owns the texts. Knows nothing of components. Bounds: the table.

use serde::Serialize;

/// What is known of the imports of one package that the contract does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportAdvice {
    /// Package, such as `wasi:http`.
    pub package: String,
    /// True if the host links it, with nothing granted: its calls fail, and nothing has to be done if none is made.
    pub links: bool,
    /// What a guest does in its place.
    pub instead: String,
    /// Usual causes in each language, with the remedy.
    pub causes: Vec<ImportCause>,
}

/// Usual cause of an import in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportCause {
    /// Language of the guest.
    pub language: String,
    /// The cause, and the remedy.
    pub cause: String,
}

/// Returns the advice on an imported interface, such as `wasi:http/types@0.2.0`. None if the contract has it, or every guest that prints or
/// panics imports it.
pub(crate) fn advice(import: &str, contract: &str) -> Option<ImportAdvice> {
    let package = import.split(['/', '@']).next().unwrap_or(import);
    let version = import.split_once('@').map_or("", |(_, version)| version);
    if package == contract {
        return None;
    }
    let is_of_p2 = version.starts_with("0.2.");
    let entry = TABLE.iter().find(|entry| entry.package == package);
    if package.starts_with("wasi:") && !version.is_empty() && !is_of_p2 && USUAL.contains(&package) {
        return Some(of_entry(package, false, &OTHER_VERSION));
    }
    match entry {
        Some(entry) => Some(of_entry(package, entry.links, entry)),
        None if USUAL.contains(&package) => None,
        None => Some(of_entry(package, false, &OF_ANOTHER_PLATFORM)),
    }
}

struct Entry {
    package: &'static str,
    links: bool,
    instead: &'static str,
    causes: &'static [(&'static str, &'static str)],
}

fn of_entry(package: &str, links: bool, entry: &Entry) -> ImportAdvice {
    let cause = |(language, cause): &(&str, &str)| ImportCause { language: (*language).into(), cause: (*cause).into() };
    ImportAdvice {
        package: package.into(),
        links,
        instead: entry.instead.into(),
        causes: entry.causes.iter().map(cause).collect(),
    }
}

/// Packages that the standard libraries of all languages import, whether a program uses them or not.
const USUAL: &[&str] = &["wasi:io", "wasi:cli", "wasi:clocks", "wasi:random", "wasi:filesystem", "wasi:sockets"];

const TABLE: &[Entry] = &[
    Entry {
        package: "wasi:http",
        links: false,
        instead: "a guest returns the effect `fetch`, and the node sends the request to an upstream of its configuration",
        causes: &[
            (
                "Rust",
                "a client such as waki, wstd or reqwest, or an sdk of another platform; cargo tree -i wasi names what pulls it in",
            ),
            ("JavaScript", "componentize-js links fetch unless it is told not to: --disable http"),
            (
                "Python",
                "componentize-py with a world that includes wasi:http, or poll_loop; use the world of herd alone",
            ),
            ("Go", "net/http with a package that replaces its transport"),
        ],
    },
    Entry {
        package: "wasi:sockets",
        links: true,
        instead: "the node owns sockets: a guest replies to sessions, and returns the effect `fetch`",
        causes: &[
            ("Rust", "std::net in the program or in a dependency"),
            ("JavaScript", "the engine of componentize-js; harmless"),
            ("Python", "the socket module of the interpreter; harmless unless it is called"),
            ("Go", "the net package"),
        ],
    },
    Entry {
        package: "wasi:filesystem",
        links: true,
        instead: "no directory is granted: facts come with the settings, state goes into records",
        causes: &[
            ("Rust", "std itself imports it; reading a file fails"),
            ("JavaScript", "the engine of componentize-js; harmless"),
            ("Python", "the interpreter, whose modules are inside the component; harmless unless a file is opened"),
            ("Go", "the runtime imports it; opening a file fails"),
        ],
    },
    Entry {
        package: "wasi:keyvalue",
        links: false,
        instead: "records: `records.get` in a decision, and the effect `keep`",
        causes: &[(
            "Rust, Go, JavaScript, Python",
            "the world of another platform; build against the world `node-logic` of herd:logic",
        )],
    },
    Entry {
        package: "wasi:config",
        links: false,
        instead: "settings: the `[logic]` table of the configuration, which `configure` receives",
        causes: &[(
            "Rust, Go, JavaScript, Python",
            "the world of another platform; build against the world `node-logic` of herd:logic",
        )],
    },
    Entry {
        package: "wasi:logging",
        links: false,
        instead: "the effect `note`, or standard error, whose lines become log lines of the node",
        causes: &[(
            "Rust, Go, JavaScript, Python",
            "the world of another platform; build against the world `node-logic` of herd:logic",
        )],
    },
];

/// Another preview of WASI.
const OTHER_VERSION: Entry = Entry {
    package: "",
    links: false,
    instead: "this host has WASI 0.2",
    causes: &[
        ("Rust", "another target than wasm32-wasip2"),
        (
            "JavaScript, Python",
            "a version of componentize-js or componentize-py for another preview of WASI; docs/guide.md names those that fit",
        ),
    ],
};

/// Anything else.
const OF_ANOTHER_PLATFORM: Entry = Entry {
    package: "",
    links: false,
    instead: "what a node does for a guest is an effect of herd-sdk",
    causes: &[(
        "Rust, Go, JavaScript, Python",
        "the sdk or the world of another platform, or a dependency; `wasm-tools component wit GUEST` shows the world",
    )],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_advice_knows_what_every_guest_imports_and_what_none_should() {
        let of = |import: &str| advice(import, "herd:logic");
        for usual in
            ["herd:logic/records@0.1.0", "wasi:io/streams@0.2.6", "wasi:cli/stderr@0.2.0", "wasi:random/random@0.2.0"]
        {
            assert_eq!(of(usual), None, "{usual}");
        }
        for (import, links, says) in [
            ("wasi:sockets/tcp@0.2.0", true, "owns sockets"),
            ("wasi:filesystem/types@0.2.6", true, "no directory is granted"),
            ("wasi:http/outgoing-handler@0.2.0", false, "`fetch`"),
            ("wasi:sockets/tcp@0.3.0", false, "WASI 0.2"),
            ("wasi:keyvalue/store@0.2.0-draft", false, "records"),
            ("fermyon:spin/redis@2.0.0", false, "effect of herd-sdk"),
            ("plain", false, "effect of herd-sdk"),
        ] {
            let advice = of(import).unwrap();
            assert!(advice.links == links && advice.instead.contains(says) && !advice.causes.is_empty(), "{import}");
        }
    }
}
