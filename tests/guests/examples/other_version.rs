//! A guest for a later version of the contract than this host supports.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package herd:logic@0.9.0;

            interface records {
                count: func() -> u64;
            }

            interface logic {
                describe: func() -> string;
            }

            world node-logic {
                import records;
                export logic;
            }
        ",
    });
}

use bindings::exports::herd::logic::logic::Guest;
use bindings::herd::logic::records;

struct Later;

impl Guest for Later {
    fn describe() -> String {
        format!("a guest of tomorrow, with {} records", records::count())
    }
}

bindings::export!(Later with_types_in bindings);
