//! Probes the sandbox: `BOOM SENSE` replies with the resources that it could reach, which must be none.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::hash::BuildHasher;
use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use herd_sdk::Context;
use herd_test_guests::{Echo, Faulty};

struct Peeker;

impl Faulty for Peeker {
    const NAME: &'static str = "peeker";

    fn boom(line: &[u8], context: &mut Context<'_>) {
        let sense = str::from_utf8(line).ok().and_then(|line| line.strip_prefix("BOOM ")).unwrap_or_default();
        let found = match sense {
            "files" => files(),
            "environment" => env::vars().map(|(name, value)| format!("{name}={value}")).collect(),
            "arguments" => env::args().skip(1).collect(),
            "input" => input(),
            "network" => network(),
            "threads" => thread::Builder::new().spawn(|| {}).map(|_| "a thread".to_string()).into_iter().collect(),
            "clock" => clock(context.now_ns()),
            "chance" => vec![HashMap::<u8, u8>::new().hasher().hash_one(0).to_string()],
            other => vec![format!("no sense is called `{other}`")],
        };
        context.reply(format!("found {}: {found:?}\n", found.len()).as_bytes());
    }
}

fn files() -> Vec<String> {
    let read = ["/etc/passwd", "/proc/self/environ", "Cargo.toml"].map(|path| fs::read(path).map(|_| path.into()));
    let listed = ["/", "."].map(|path| fs::read_dir(path).map(|_| path.into()));
    let written = ["/tmp/peeker", "peeker"].map(|path| fs::write(path, "here").map(|()| path.into()));
    read.into_iter().chain(listed).chain(written).flatten().collect()
}

fn input() -> Vec<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.ok().filter(|&count| count > 0).map(|_| text).into_iter().collect()
}

fn network() -> Vec<String> {
    let address = "127.0.0.1:15415";
    let found = [
        TcpStream::connect(address).map(|_| "a connection"),
        TcpListener::bind("127.0.0.1:0").map(|_| "a listener"),
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", address)).map(|_| "a datagram"),
        "localhost:80".to_socket_addrs().map(|_| "a name"),
    ];
    found.into_iter().flatten().map(Into::into).collect()
}

/// Reports clock readings that differ from the time of the call.
fn clock(now_ns: u64) -> Vec<String> {
    let call = SystemTime::UNIX_EPOCH + Duration::from_nanos(now_ns);
    let began = Instant::now();
    let seen = SystemTime::now();
    let mut found = vec![];
    if seen != call {
        found.push(format!("{seen:?} and not {call:?}"));
    }
    if began.elapsed() != Duration::ZERO {
        found.push(format!("{:?} went by", began.elapsed()));
    }
    found
}

herd_sdk::export!(Echo<Peeker>);
