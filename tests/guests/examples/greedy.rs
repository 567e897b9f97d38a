//! Imports an interface that the host does not offer.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package wasi:keyvalue@0.2.0;

            interface store {
                open: func(name: string) -> string;
            }

            world greedy {
                import store;
                export remember: func() -> string;
            }
        ",
    });
}

use bindings::wasi::keyvalue::store;

struct Greedy;

impl bindings::Guest for Greedy {
    fn remember() -> String {
        store::open("everything")
    }
}

bindings::export!(Greedy with_types_in bindings);
