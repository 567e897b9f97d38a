//! The default logic, but its records are in another form, which it converts to and from the first.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::{SecondForm, Ways};

struct SecondFormGuest;

impl Ways for SecondFormGuest {
    const NAME: &'static str = "second-form";
}

herd_sdk::export!(SecondForm<SecondFormGuest>, forms);
