//! The default logic with records in the second form, without the export of `forms`.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::{Conversions, SecondForm};

struct UnsaidForm;

impl Conversions for UnsaidForm {
    const NAME: &'static str = "unsaid-form";
}

herd_sdk::export!(SecondForm<UnsaidForm>);
