//! The interfaces of WASI that a guest may import.
//!
//! A node grants clocks, randomness and the standard streams. Of files, sockets, the environment and terminals it grants nothing, but every
//! guest of some languages imports them. Their functions that need no handle of them return what they return to a program that was granted
//! nothing: none, an empty list, or a refusal. Nobody can call the methods of their resources, because nobody gets such a resource: one stub
//! stands for all of them, in place of code that opens files and sockets.
//!
//! Bounds: those of the handles of an instance. The functions copy at most a name out of the guest, and the stub nothing: the handle comes
//! first, and there is none.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

use crate::sandbox::host_state::HostState;

/// Links the interfaces that do something.
///
/// Asynchronously: the synchronous linking starts a runtime inside the worker's runtime when a guest prints or panics, and that panics the host.
pub(crate) fn link_granted(linker: &mut Linker<HostState>) -> Result<()> {
    // Streams, clocks, secure randomness and the standard streams.
    add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, HostState::cli)
}

/// Links what this component imports of the interfaces of which nothing is granted, each in the version that it names. What they do not have
/// stays missing, and the component is refused.
pub(crate) fn link_ungranted(linker: &mut Linker<HostState>, component: &Component) -> Result<()> {
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
                ComponentItem::ComponentFunc(_) => link_function(&mut linker, item)?,
                ComponentItem::Resource(_) => link_resource(&mut linker, item)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Links a resource, unless it is one of another interface.
fn link_resource(linker: &mut LinkerInstance<'_, HostState>, name: &str) -> Result<()> {
    match name {
        _ if OF_IO.contains(&name) => Ok(()),
        "network" => linker.resource(name, ResourceType::host::<Network>(), drop_network),
        _ => linker.resource(name, ResourceType::host::<Ungranted>(), |_, _| Ok(())),
    }
}

fn link_function(linker: &mut LinkerInstance<'_, HostState>, name: &str) -> Result<()> {
    type Store<'a> = StoreContextMut<'a, HostState>;
    type Socket = std::result::Result<Resource<Ungranted>, ErrorCode>;
    match name {
        "get-environment" => linker.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<(String, String)>::new(),))),
        "get-arguments" => linker.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<String>::new(),))),
        "initial-cwd" => linker.func_wrap(name, |_: Store<'_>, ()| Ok((None::<String>,))),
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((None::<Resource<Ungranted>>,)))
        }
        "get-directories" => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<(Resource<Ungranted>, String)>::new(),)))
        }
        // No error of a stream of ours is one of files.
        "filesystem-error-code" => linker.func_wrap(name, |_: Store<'_>, _: (Resource<wasmtime::Error>,)| {
            Ok((None::<filesystem::types::ErrorCode>,))
        }),
        "create-tcp-socket" | "create-udp-socket" => {
            linker.func_wrap(name, |_: Store<'_>, _: (IpAddressFamily,)| Ok((Socket::Err(ErrorCode::AccessDenied),)))
        }
        // A handle with which only names can be asked for, in vain.
        "instance-network" => {
            linker.func_wrap(name, |mut store: Store<'_>, ()| Ok((store.data_mut().ctx().table.push(Network)?,)))
        }
        "resolve-addresses" => linker.func_wrap(name, |_: Store<'_>, _: (Resource<Network>, String)| {
            Ok((Socket::Err(ErrorCode::PermanentResolverFailure),))
        }),
        _ if is_method_of_ungranted(name) => linker.func_new(name, |_, _, _, _| {
            Err(wasmtime::Error::msg("called a method of a resource that no guest is granted"))
        }),
        _ => Ok(()),
    }
}

/// Returns whether a function takes a handle first of which there is none. A component whose methods take another is not valid.
fn is_method_of_ungranted(name: &str) -> bool {
    let resource = name.strip_prefix("[method]").and_then(|method| method.split('.').next());
    resource.is_some_and(|resource| resource != "network" && !OF_IO.contains(&resource))
}

fn drop_network(mut store: StoreContextMut<'_, HostState>, handle: u32) -> Result<()> {
    store.data_mut().ctx().table.delete(Resource::<Network>::new_own(handle))?;
    Ok(())
}

/// The network of `wasi:sockets`.
struct Network;

/// A resource of which there is none.
enum Ungranted {}

/// Prefixes of the names of the interfaces of which nothing is granted.
const UNGRANTED: [&str; 4] = ["wasi:filesystem/", "wasi:sockets/", "wasi:cli/environment", "wasi:cli/terminal-"];
/// Resources of `wasi:io`, which these interfaces use and do not define.
const OF_IO: [&str; 4] = ["error", "input-stream", "output-stream", "pollable"];

#[cfg(test)]
mod tests;
