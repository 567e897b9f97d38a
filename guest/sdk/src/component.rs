//! Adapter from a [`Logic`] to the exports of a component.
//!
//! Owns the generated bindings and the conversion of their types. It must not decide anything. Calls bound it: nothing
//! but the configured logic lives from one to the next.

use std::cell::OnceCell;
use std::marker::PhantomData;

use bindings::exports::herd::logic::logic as wit;
use bindings::herd::logic::{effects, records, types};
use forms_bindings::exports::herd::logic::forms as wit_forms;

use crate::batch::{Inputs, read_reports};
use crate::context::Context;
use crate::decide_inputs::decide_inputs;
use crate::event::{Failure, Found, Moment, Outcome};
use crate::forms::{Forms, Unconvertible};
use crate::logic::{Logic, Settings};
use crate::records::Records;

/// Bindings that wit-bindgen generates from `wit/`.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "node-logic",
        pub_export_macro: true,
        default_bindings_module: "herd_sdk::component::bindings",
    });
}

/// Bindings for guests that convert records. They have a world of their own, because a component must export everything
/// that its world exports.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod forms_bindings {
    wit_bindgen::generate!({
        inline: "
            package herd:sdk;

            world with-forms {
                export herd:logic/forms@0.1.0;
            }
        ",
        path: "wit",
        world: "herd:sdk/with-forms",
        pub_export_macro: true,
        export_macro_name: "export_forms",
        default_bindings_module: "herd_sdk::component::forms_bindings",
        with: { "herd:logic/types@0.1.0": super::bindings::herd::logic::types },
    });
}

/// Storage for a component's configured logic. [`export!`](crate::export) implements it.
pub trait LogicCell: 'static {
    /// Type of the logic.
    type Logic: Logic;

    /// Calls a closure with the cell.
    fn with<R>(use_it: impl FnOnce(&OnceCell<Self::Logic>) -> R) -> R;
}

/// Exports of a logic. [`export!`](crate::export) names this type.
pub struct Component<S>(PhantomData<S>);

impl<S: LogicCell> wit::Guest for Component<S> {
    fn describe() -> wit::Description {
        let description = S::Logic::describe();
        wit::Description { name: description.name, version: description.version, commands: description.commands }
    }

    fn configure(settings: types::Settings) -> Result<(), types::BadSetting> {
        let table = settings.table.into_iter().map(|setting| (setting.name, setting.value)).collect();
        let logic = S::Logic::configure(&Settings { node: settings.node, table })
            .map_err(|bad| types::BadSetting { name: bad.name, problem: bad.problem })?;
        S::with(|cell| cell.set(logic).unwrap_or_else(|_| panic!("configured twice")));
        Ok(())
    }

    fn inputs(at: types::Moment, bytes: Vec<u8>, inputs: Vec<u32>) -> effects::Decision {
        let inputs = Inputs::new(&bytes, &inputs);
        decision(logic::<S, _>(|logic| decide_inputs(moment(at), &HostRecords, logic, inputs, bytes.len())))
    }

    fn reports(at: types::Moment, bytes: Vec<u8>, reports: Vec<u32>) -> effects::Decision {
        let mut context = Context::new(moment(at), &HostRecords);
        logic::<S, _>(|logic| logic.reports(&read_reports(&bytes, &reports), &mut context));
        decision(context.finish())
    }

    fn answer(at: types::Moment, token: Vec<u8>, otherwise: Vec<u8>, outcome: wit::Outcome) -> effects::Decision {
        let outcome = match &outcome {
            wit::Outcome::Answered(response) => Outcome::Answered { status: response.status, body: &response.body },
            wit::Outcome::Failed(failure) => Outcome::Failed(match failure {
                wit::Failure::Unknown => Failure::Unknown,
                wit::Failure::Unreachable => Failure::Unreachable,
                wit::Failure::Timeout => Failure::Timeout,
                wit::Failure::TooLarge => Failure::TooLarge,
                wit::Failure::Incomplete => Failure::Incomplete,
                wit::Failure::Busy => Failure::Busy,
            }),
        };
        let mut context = Context::new(moment(at), &HostRecords);
        logic::<S, _>(|logic| logic.answer(&token, &otherwise, outcome, &mut context));
        decision(context.finish())
    }
}

/// Exports of a guest's [`Forms`]. [`export!`](crate::export) names this type.
pub struct Converter<F>(PhantomData<F>);

impl<F: Forms + 'static> wit_forms::Guest for Converter<F> {
    fn native() -> u32 {
        F::NATIVE
    }

    fn upgrade(from: u32, bytes: Vec<u8>) -> Result<Vec<u8>, wit_forms::Unconvertible> {
        F::upgrade(from, &bytes).map_err(unconvertible)
    }

    fn downgrade(to: u32, bytes: Vec<u8>) -> Result<Vec<u8>, wit_forms::Unconvertible> {
        F::downgrade(to, &bytes).map_err(unconvertible)
    }
}

fn unconvertible(why: Unconvertible) -> wit_forms::Unconvertible {
    match why {
        Unconvertible::UnknownForm => wit_forms::Unconvertible::UnknownForm,
        Unconvertible::Malformed => wit_forms::Unconvertible::Malformed,
    }
}

/// Records of the node, read through the import.
struct HostRecords;

impl Records for HostRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let found = |found: records::Found| Found { rank: found.rank, form: found.form, bytes: found.bytes };
        records::get(&keys).into_iter().map(|item| item.map(found)).collect()
    }
}

fn logic<S: LogicCell, R>(decide: impl FnOnce(&S::Logic) -> R) -> R {
    S::with(|cell| decide(cell.get().expect("the host configures an instance before its first call")))
}

fn moment(at: types::Moment) -> Moment {
    Moment { now_ns: at.now, random: at.random }
}

fn decision(decision: crate::Decision) -> effects::Decision {
    effects::Decision { output: decision.output, effects: decision.effects.into_words() }
}
