//! A component of another world, which exports no logic.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package kitchen:tools@1.0.0;

            world toaster {
                export toast: func(slices: u32) -> u32;
            }
        ",
    });
}

struct Toaster;

impl bindings::Guest for Toaster {
    fn toast(slices: u32) -> u32 {
        slices
    }
}

bindings::export!(Toaster with_types_in bindings);
