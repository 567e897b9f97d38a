//! Bindings that wasmtime generates from `wit/`, and conversions between them and the types of `herd-sdk`.
//!
//! One such module exists per released version of the contract; effects are lifted to the newest version. It holds no state and
//! decides nothing.

use herd_sdk::{Decision, Effects, Moment, Outcome};

pub(crate) use generated::exports::herd::logic::logic as wit;
pub(crate) use generated::herd::logic::{effects, records, types};
pub(crate) use generated::{NodeLogic, NodeLogicPre};
pub(crate) use generated_forms::WithForms;
pub(crate) use generated_forms::exports::herd::logic::forms;

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "node-logic",
        exports: { default: async },
        imports: { default: trappable },
    });
}

/// The optional export `forms`. A world of its own, because `node-logic` does not require it.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated_forms {
    wasmtime::component::bindgen!({
        inline: "
            package herd:host;

            world with-forms {
                export herd:logic/forms@0.1.0;
            }
        ",
        path: "../../wit",
        world: "herd:host/with-forms",
        exports: { default: async },
        imports: { default: trappable },
        with: { "herd:logic/types": super::generated::herd::logic::types },
    });
}

/// Package of the contract.
pub(crate) const PACKAGE: &str = "herd:logic";
/// Version of the contract that this host implements.
pub(crate) const VERSION: &str = "0.1.0";

/// Returns the contract that this host has with guests: package and version, `herd:logic@0.1.0`.
#[must_use]
pub fn contract() -> String {
    format!("{PACKAGE}@{VERSION}")
}

pub(crate) fn moment(at: Moment) -> types::Moment {
    types::Moment { now: at.now_ns, random: at.random }
}

fn failure(failure: herd_sdk::Failure) -> wit::Failure {
    use herd_sdk::Failure;
    match failure {
        Failure::Unknown => wit::Failure::Unknown,
        Failure::Unreachable => wit::Failure::Unreachable,
        Failure::Timeout => wit::Failure::Timeout,
        Failure::TooLarge => wit::Failure::TooLarge,
        Failure::Incomplete => wit::Failure::Incomplete,
        Failure::Busy => wit::Failure::Busy,
    }
}

pub(crate) fn outcome(outcome: Outcome<'_>) -> wit::Outcome {
    match outcome {
        Outcome::Answered { status, body } => wit::Outcome::Answered(wit::Response { status, body: body.to_vec() }),
        Outcome::Failed(failed) => wit::Outcome::Failed(failure(failed)),
    }
}

pub(crate) fn decision(decision: effects::Decision) -> Decision {
    Decision { output: decision.output, effects: Effects::from_words(decision.effects) }
}
