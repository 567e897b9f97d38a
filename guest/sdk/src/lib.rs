//! What an author of protocol logic depends on.
//!
//! A guest implements [`Logic`] on a type of its own and names that type in [`export!`]; built for
//! `wasm32-wasip2` it is then a component that a node can serve, and built natively it is ordinary
//! Rust that tests can call.
//!
//! ```
//! use herd_sdk::{BadSetting, Description, Input, Logic, Progress, Settings, Context};
//!
//! struct Hello;
//!
//! impl Logic for Hello {
//!     fn describe() -> Description {
//!         Description { name: "hello".into(), version: "1".into(), commands: vec![] }
//!     }
//!
//!     fn configure(_: &Settings) -> Result<Self, BadSetting> {
//!         Ok(Self)
//!     }
//!
//!     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//!         input.lines(|line| context.reply_with(|out| {
//!             out.extend_from_slice(b"hello ");
//!             out.extend_from_slice(line);
//!             out.push(b'\n');
//!         }))
//!     }
//! }
//!
//! herd_sdk::export!(Hello);
//! ```
//!
//! This crate owns the vocabulary that both sides of the boundary share. It knows nothing about
//! sockets, clocks or wasmtime. [`transcript`] runs recorded events against any guest.

pub mod batch;
mod context;
mod decide_inputs;
mod decision;
pub mod effect;
pub mod effects;
pub mod event;
pub mod forms;
pub mod limits;
pub mod logic;
mod records;

#[cfg(not(target_family = "wasm"))]
pub mod check;
#[cfg(target_family = "wasm")]
pub mod component;
#[cfg(not(target_family = "wasm"))]
pub mod converted;
#[cfg(not(target_family = "wasm"))]
pub mod native;
#[cfg(not(target_family = "wasm"))]
pub mod transcript;

pub use batch::{InputBatch, Inputs, ReportBatch};
pub use context::{Checkpoint, Context, KeepIndex};
pub use decide_inputs::decide_inputs;
pub use decision::Decision;
pub use effect::{Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Span, Tie};
pub use effects::Effects;
pub use event::{Awaiting, Failure, Found, Input, Mark, Moment, Outcome, Progress, Report, Reports};
pub use forms::{Forms, Unconvertible};
pub use logic::{BadSetting, Description, Logic, Settings};
pub use records::Records;

/// Makes a component of a type that implements [`Logic`]: `export!(Hello);`. One that implements [`Forms`] too, and
/// writes another form than the first or reads others, says so: `export!(Hello, forms);`.
///
/// Outside wasm it expands to nothing, so the same crate builds and tests natively.
#[macro_export]
macro_rules! export {
    ($logic:ty, forms) => {
        $crate::export!($logic);

        #[cfg(target_family = "wasm")]
        const _: () = {
            type Converter = $crate::component::Converter<$logic>;
    $crate::component::forms_bindings::export_forms!(Converter with_types_in $crate::component::forms_bindings);
        };
    };
    ($logic:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static LOGIC: ::std::cell::OnceCell<$logic> = const { ::std::cell::OnceCell::new() };
            }

            struct Cell;

            impl $crate::component::LogicCell for Cell {
                type Logic = $logic;

                fn with<R>(use_it: impl FnOnce(&::std::cell::OnceCell<$logic>) -> R) -> R {
                    LOGIC.with(use_it)
                }
            }

            type Component = $crate::component::Component<Cell>;
    $crate::component::bindings::export!(Component with_types_in $crate::component::bindings);
        };
    };
}
