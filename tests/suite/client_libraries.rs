//! Client libraries, Rust and Python, against a herd that loses nodes and swaps its logic.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use herd_client::{ClientTls, HerdClient, Options, Report};
use herd_tests::{DEFAULT_GUEST, Herd, LibraryLoad, Process, WATCH, eventually, tool};

/// Runs what is asynchronous in a test.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn three() -> Herd {
    Herd::of(&[("Riley", &["Jaquez", "Juzang"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])])
}

fn start(herd: &Herd) -> BTreeMap<&str, Process> {
    let running = herd.names().into_iter().map(|node| (node, herd.run(node))).collect();
    herd.await_linked(&herd.names());
    running
}

/// Goal: no call fails and no acknowledged report is lost while each node in turn is killed and started again and the logic is swapped.
/// Method: both libraries report all the time; each step waits until both have got on.
fn outlives_losses(library: fn(&str, &[std::net::SocketAddr]) -> LibraryLoad) {
    let herd = three();
    let mut running = start(&herd);
    let addresses: Vec<_> = herd.names().into_iter().map(|node| herd.address(node)).collect();
    let load = library("walker", &addresses);
    load.await_more(PROGRESS);
    for (round, node) in herd.names().into_iter().enumerate() {
        running.remove(node).unwrap().kill();
        load.await_more(PROGRESS);
        herd.swap([WATCH, DEFAULT_GUEST][round % 2], &[]).unwrap();
        load.await_more(PROGRESS);
        running.insert(node, herd.run(node));
        herd.await_linked(&herd.names());
        load.await_more(PROGRESS);
    }
    let outcome = load.stop();
    assert_eq!((outcome.failed, outcome.examples), (0, vec![]));
    for address in addresses {
        eventually("every acknowledged report", || {
            let found = outcome.ledger.read_back(address).map_err(|error| format!("{error:#}"))?;
            if found.lost == 0 { Ok(()) } else { Err(format!("{} lost: {:?}", found.lost, found.examples)) }
        });
    }
}

#[test]
fn client_library_in_rust_outlives_nodes_that_are_killed_and_swaps() {
    outlives_losses(LibraryLoad::rust);
}

#[test]
fn client_library_in_python_outlives_nodes_that_are_killed_and_swaps() {
    let Some(_) = tool("python3", "python3") else { return };
    outlives_losses(LibraryLoad::python);
}

#[test]
fn client_library_subscribes_again_when_its_node_is_killed_or_the_logic_swapped() {
    let herd = three().with_guest(WATCH);
    let mut running = start(&herd);
    let addresses: Vec<_> = herd.names().into_iter().map(|node| herd.address(node).to_string()).collect();
    block_on(async {
        let client = HerdClient::new(&addresses, Options::default()).unwrap();
        let mut watch = client.watch(&["kiwi"]).unwrap();
        for (second, node) in (1..).zip(herd.names()) {
            client.report(&Report::at("kiwi", 34.5, -118.25, second * 1_000_000_000).unwrap()).await.unwrap();
            assert_eq!(watch.next().await.unwrap().unix_ns, second * 1_000_000_000);
            if node != herd.names()[2] {
                // The first two are those that the subscription is at, one after the other.
                running.remove(node).unwrap().kill();
            }
        }
        herd.swap(DEFAULT_GUEST, &[]).unwrap();
        herd.swap(WATCH, &[]).unwrap();
        client.report(&Report::at("kiwi", 34.5, -118.25, 9_000_000_000).unwrap()).await.unwrap();
        assert_eq!(watch.next().await.unwrap().unix_ns, 9_000_000_000);
    });
}

#[test]
fn client_library_speaks_tls_and_asks_for_places() {
    let herd = Herd::of_one().with_tls();
    let _up = herd.up();
    let address = herd.tls_address("Riley").to_string();
    let tls = |authority: &str| Some(ClientTls::new(Some(&Herd::tls_file(authority)), None).unwrap());
    block_on(async {
        let options = Options { tls: tls("authority.pem"), ..Options::default() };
        let client = HerdClient::new(&[&address], options).unwrap();
        let at = client.report(&Report::now("kiwi", 34.06893, -118.445127).unwrap()).await.unwrap();
        assert_eq!(at.node, "Riley");
        let answer = client.whats_at("kiwi", 10.0, 5).await.unwrap().unwrap();
        assert_eq!(answer.at, at);
        answer.places().unwrap();
    });
    // A failed handshake counts against the time of a call alone, and may take longer than that.
    eventually("the reason why the node is not trusted", || {
        block_on(async {
            let options = Options { tls: tls("other-authority.pem"), ..Options::default() };
            let options = Options { call_timeout: std::time::Duration::from_millis(300), ..options };
            let refused = HerdClient::new(&[&address], options).unwrap();
            let error = refused.report(&Report::now("kiwi", 0.0, 0.0).unwrap()).await.unwrap_err().to_string();
            if error.contains("UnknownIssuer") { Ok(()) } else { Err(error) }
        })
    });
    let Some(python3) = tool("python3", "python3") else { return };
    let python = "import ssl, sys; from herd_client import *\n\
                  tls = ssl.create_default_context(cafile=sys.argv[2])\n\
                  with Herd([sys.argv[1]], Options(tls=tls)) as herd: print(herd.report(Report('emu', 1, 2)).node)";
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/client/python/src");
    let mut command = Command::new(python3);
    command.args(["-c", python, &address]).arg(Herd::tls_file("authority.pem"));
    let printed = command.env("PYTHONPATH", package).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), "Riley\n", "{printed:?}");
}

#[test]
fn client_library_in_python_passes_its_own_tests() {
    let Some(python3) = tool("python3", "python3") else { return };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/client/python");
    let mut command = Command::new(python3);
    command.args(["-m", "unittest"]).current_dir(package.join("tests"));
    let tested = command.env("PYTHONPATH", package.join("src")).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
}

/// Reports that show that a library gets on: each of its tasks has made several calls.
const PROGRESS: u64 = 100;
