//! The interfaces of WASI that a guest may import.
//!
//! Those of which a node grants nothing are imported by every guest of some languages and called by few: files, sockets, the environment
//! and terminals. Their functions are defined by their types alone. Each returns what it returns to a program that has been granted nothing:
//! the error of a refusal, none, or an empty list. So a guest opens no socket of the host, and the program has no code for it.
//!
//! Bounds: those of the handles of an instance.

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType, Type, Val};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

use crate::sandbox::host_state::HostState;

/// Links the interfaces that do something.
///
/// Asynchronously: the synchronous linking starts a runtime inside the worker's runtime when a guest prints or panics, and that panics the host.
pub(crate) fn link_granted(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    // Streams, clocks, secure randomness and the standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, HostState::cli)
}

/// Links what this component imports of the interfaces of which nothing is granted.
pub(crate) fn link_ungranted(linker: &mut Linker<HostState>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    for (name, import) in component.component_type().imports(engine) {
        let interface = name.split('@').next().unwrap_or(name);
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        if !UNGRANTED.iter().any(|prefix| interface.starts_with(prefix)) {
            continue;
        }
        let mut linker = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => link_function(&mut linker, name, item)?,
                ComponentItem::Resource(_) if !OF_IO.contains(&item) => {
                    linker.resource(item, ResourceType::host::<Ungranted>(), drop_handle)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn link_function(linker: &mut LinkerInstance<'_, HostState>, interface: &str, item: &str) -> wasmtime::Result<()> {
    let name = format!("{interface}#{item}");
    linker.func_new(item, move |mut store, kind, _, results| {
        for (result, kind) in results.iter_mut().zip(kind.results()) {
            *result = nothing(&mut store, &kind)?
                .ok_or_else(|| wasmtime::Error::msg(format!("called {name}, which a guest is not granted")))?;
        }
        Ok(())
    })
}

/// Returns what a function of this result returns to a program that is granted nothing. None if that cannot be said of its type.
fn nothing(store: &mut StoreContextMut<'_, HostState>, kind: &Type) -> wasmtime::Result<Option<Val>> {
    Ok(match kind {
        Type::Option(_) => Some(Val::Option(None)),
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Result(kind) => match kind.err() {
            Some(Type::Enum(errors)) => errors
                .names()
                .find(|name| REFUSALS.contains(name))
                .map(|refusal| Val::Result(Err(Some(Box::new(Val::Enum(refusal.into())))))),
            _ => None,
        },
        // The network of `instance-network`, with which nothing can be done.
        Type::Own(kind) if *kind == ResourceType::host::<Ungranted>() => {
            let handle = store.data_mut().ctx().table.push(Ungranted)?;
            Some(Val::Resource(handle.try_into_resource_any(store)?))
        }
        _ => None,
    })
}

fn drop_handle(mut store: StoreContextMut<'_, HostState>, handle: u32) -> wasmtime::Result<()> {
    store.data_mut().ctx().table.delete(Resource::<Ungranted>::new_own(handle))?;
    Ok(())
}

/// Any resource of an interface of which nothing is granted.
struct Ungranted;

/// What the names of these interfaces begin with.
const UNGRANTED: [&str; 4] = ["wasi:filesystem/", "wasi:sockets/", "wasi:cli/environment", "wasi:cli/terminal-"];
/// Resources of `wasi:io`, which these interfaces use and do not define.
const OF_IO: [&str; 4] = ["error", "input-stream", "output-stream", "pollable"];
/// Errors of files and sockets, one of each.
const REFUSALS: [&str; 2] = ["access-denied", "not-permitted"];

#[cfg(test)]
mod tests;
