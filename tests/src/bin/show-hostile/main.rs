//! Program of `tests/show/hostile`: shows that everything that can reach a port of a node is refused until it has proved who it is, and
//! that nobody else is affected, with real processes.
//!
//! A row is a scenario with its figures; each has a file of its own. Runs in namespaces of its own for network, mounts and
//! processes, which the script makes, as root: a row acts as another user.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod attacks;
mod flood;
mod fuzz;
mod hosts;
mod link_frames;
mod links_tls;
mod network;
mod open_files;
mod refused;
mod renewal;
mod scene;
mod stranger;
mod tls_sessions;
mod upgrade;

/// All rows, in the order in which they run.
const ROWS: [Row; 8] =
    [hosts::ROW, refused::ROW, flood::ROW, renewal::ROW, upgrade::ROW, links_tls::ROW, tls_sessions::ROW, fuzz::ROW];

fn main() -> ExitCode {
    // A process of its own, of another user.
    if let [ask, socket] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && ask == attacks::ASK_SOCKET
    {
        return match attacks::ask_socket(socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    run_show("hostile", &ROWS, &[])
}
