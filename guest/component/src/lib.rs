//! The WASI component around the default logic. Everything it does is in `herd-sdk`, which converts types, and in
//! `herd-logic`, which decides.

#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

herd_sdk::export!(herd_logic::Herd);
