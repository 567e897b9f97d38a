//! A node in a control group of 128 MiB on one processor: more reports and clients than fit, a swap, a hostile guest; and what reports
//! write to the disk.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use herd_tests::{Bar, Fixture, HELLO, Herd, Reporter, Row, SmallHost, WAIT_MAX, connect_from, eventually};
use serde_json::Value;

pub(crate) const ROW: Row = Row {
    name: "small-host",
    figures: &[
        Bar { figure: "a million reports answered", bar: "all" },
        Bar { figure: "of them refused for want of room, and counted", bar: "as many as the node says" },
        Bar { figure: "100,000 clients at once", bar: "served or refused and counted" },
        Bar { figure: "swap, then a guest that takes all memory", bar: "serves; is refused or rescued" },
        Bar { figure: "processes that the kernel killed", bar: "0" },
        Bar { figure: "limits set too high: refused while memory is short", bar: "0 killed, all counted" },
        Bar { figure: "written per report: memory", bar: "0 bytes" },
        Bar { figure: "written per report: os", bar: "at most 300 bytes" },
        Bar { figure: "written per report: disk", bar: "at most 16,384 bytes" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    wear(reporter)?;
    lowered(reporter)?;
    too_high(reporter)
}

/// Limits as the node lowers them.
fn lowered(reporter: &mut Reporter<'_>) -> Result<()> {
    let host = SmallHost::new(MIB).context("a control group cannot be made here")?;
    let herd = Herd::of_one().with("runtime.workers=1");
    let mut riley = host.run(&herd, "Riley");
    let address = herd.address("Riley");
    let began = Instant::now();
    let Tally { kept, refused } = report_all(address)?;
    let (answered, took) = (kept + refused, began.elapsed().as_secs_f64());
    reporter.show("a million reports answered", format!("{answered} in {took:.1} s, {kept} kept"), answered == REPORTS);
    let status = herd.status("Riley");
    let counted = status["records"]["refused"].as_u64().unwrap_or_default();
    reporter.show(
        "of them refused for want of room, and counted",
        format!("{refused}, counted {counted}"),
        refused > 0 && counted == refused,
    );
    reporter.tell("memory after a million reports", &status["memory"]);

    let (served, turned_away, clients) = connect(address);
    let status = herd.status("Riley");
    let by_limit = &status["sessions"]["refused_by_limit"];
    let counted: u64 = by_limit.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    let holds = served > 0 && served + turned_away == CLIENTS && counted >= turned_away as u64;
    reporter.show(
        "100,000 clients at once",
        format!("{served} served, {turned_away} refused, counted {counted}"),
        holds,
    );
    reporter.tell("refusals", nonzero(by_limit));
    reporter.tell("memory with these clients", &status["memory"]);

    let swapped = herd.swap(HELLO, &[]);
    let before = herd.serving("Riley");
    let hostile = herd.swap(Fixture::Hog.path(), &[]);
    let mut kiwi = clients.into_iter().next().context("a client that is served")?;
    kiwi.write_all(b"BOOM\nBOOM\nHELLO kiwi\n")?;
    let mut answers = BufReader::new(&kiwi);
    let mut lines = Vec::new();
    for _ in 0..3 {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        lines.push(line);
    }
    // What the guest before made of it: the hostile one would have answered with its name.
    let rescued = lines.iter().all(|line| line.ends_with('\n')) && !lines[0].starts_with("hog");
    reporter.tell("answers to the hostile line and to another", format!("{lines:?}"));
    let survived = riley.is_running() && rescued;
    let how = match &hostile {
        Err(_) => "refused",
        Ok(()) if herd.serving("Riley") == before => "rolled back",
        Ok(()) => "serves, its faults rescued",
    };
    let value = match &swapped {
        Ok(()) => format!("swapped; the hostile one {how}"),
        Err(why) => format!("refused: {why}"),
    };
    reporter.show("swap, then a guest that takes all memory", value, swapped.is_ok() && survived);
    drop(kiwi);
    let killed = host.killed()?;
    let peak = host.peak_mib().map_or_else(String::new, |mib| format!(", at most {mib} of {MIB} MiB in use"));
    reporter.show("processes that the kernel killed", format!("{killed}{peak}"), killed == 0 && riley.is_running());
    riley.kill();
    Ok(())
}

/// Limits that an operator set beyond what the host has: the node refuses when memory is short.
fn too_high(reporter: &mut Reporter<'_>) -> Result<()> {
    let host = SmallHost::new(MIB).context("a control group cannot be made here")?;
    let herd =
        ["runtime.workers=1", "records.keys_max=10000000", "records.mib_max=4096", "sessions.sessions_max=65536"];
    let herd = herd.into_iter().fold(Herd::of_one(), Herd::with);
    let mut riley = host.run(&herd, "Riley");
    let Tally { kept, refused } = report_all(herd.address("Riley"))?;
    let status = herd.status("Riley");
    let is_refused = is_turned_away(herd.address("Riley"))?;
    let clients = status["sessions"]["refused_by_limit"]["memory"].as_u64().unwrap_or_default();
    let (killed, counted) = (host.killed()?, &status["records"]["refused"]);
    let holds = killed == 0 && riley.is_running() && refused > 0 && *counted == refused && kept + refused == REPORTS;
    reporter.show(
        "limits set too high: refused while memory is short",
        format!("{kept} kept, {refused} refused, {killed} killed"),
        holds,
    );
    reporter.tell("a client that comes then", if is_refused { "refused" } else { "served" });
    reporter.tell("clients refused for want of memory during the reports", clients);
    reporter.tell("memory then", &status["memory"]);
    riley.kill();
    Ok(())
}

/// Sends all reports, from some clients at once.
fn report_all(address: SocketAddr) -> Result<Tally> {
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || report(address, sender))).collect();
        let joined =
            senders.into_iter().map(|sender| sender.join().unwrap_or_else(|_| Err(anyhow!("a client failed"))));
        joined.collect::<Result<_>>()
    })?;
    let add = |sum: Tally, tally: &Tally| Tally { kept: sum.kept + tally.kept, refused: sum.refused + tally.refused };
    Ok(tallies.iter().fold(Tally { kept: 0, refused: 0 }, add))
}

/// Outcome of the reports of one client.
struct Tally {
    kept: u64,
    refused: u64,
}

/// Sends a share of the reports, each of another name, some at a time.
fn report(address: SocketAddr, sender: u64) -> Result<Tally> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut tally = Tally { kept: 0, refused: 0 };
    let names = (0..REPORTS).filter(|number| number % SENDERS == sender).collect::<Vec<_>>();
    for batch in names.chunks(BATCH) {
        let lines: String =
            batch.iter().map(|name| format!("IAMAT client-{name} +34.0-118.4 1795504736.5\n")).collect();
        stream.write_all(lines.as_bytes())?;
        for _ in batch {
            let mut line = String::new();
            answers.read_line(&mut line)?;
            match line.as_bytes().first() {
                Some(b'A') => tally.kept += 1,
                Some(b'?') => tally.refused += 1,
                _ => return Err(anyhow!("an answer that is none: {line:?}")),
            }
        }
    }
    Ok(tally)
}

/// Connects clients from many addresses, and returns how many were served and how many turned away, with those that are served.
fn connect(address: SocketAddr) -> (usize, usize, Vec<TcpStream>) {
    let (mut open, mut turned_away): (Vec<TcpStream>, usize) = (Vec::new(), 0);
    for number in 0..CLIENTS {
        let from = Ipv4Addr::new(127, 1, u8::try_from(number / PER_ADDRESS).unwrap_or(u8::MAX), 1);
        let client = connect_from(from, address);
        // A refused client is closed at once, and its descriptor is needed for the next one.
        if number % LOOK_EVERY == 0 {
            turned_away += close_refused(&mut open);
        }
        open.push(client);
    }
    // The last ones may not have been accepted yet.
    let mut counts = BTreeSet::new();
    eventually("every client served or refused", || {
        turned_away += close_refused(&mut open);
        thread::sleep(Duration::from_millis(200));
        if counts.insert(open.len()) { Err("their number still changes".into()) } else { Ok(()) }
    });
    (open.len(), turned_away, open)
}

/// Connects, and returns whether the node closes the connection at once.
fn is_turned_away(address: SocketAddr) -> Result<bool> {
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(SETTLES))?;
    Ok(client.read(&mut [0]).is_ok_and(|read| read == 0))
}

/// Drops the clients whose connection the node has closed.
fn close_refused(open: &mut Vec<TcpStream>) -> usize {
    let before = open.len();
    open.retain(|client| {
        let _ = client.set_nonblocking(true);
        let is_open = (&*client).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        let _ = client.set_nonblocking(false);
        is_open
    });
    before - open.len()
}

fn nonzero(by_limit: &Value) -> String {
    let counts = by_limit.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    counts.map(|(limit, count)| format!("{limit} {count}")).collect::<Vec<_>>().join(", ")
}

/// Bytes that a node wrote, as the kernel counts them, for reports that come one by one.
fn wear(reporter: &mut Reporter<'_>) -> Result<()> {
    for (durability, figure, bytes_max) in [
        ("memory", "written per report: memory", 0),
        ("os", "written per report: os", 300),
        ("disk", "written per report: disk", 16_384),
    ] {
        let herd = Herd::of_one().with(&format!("records.durability=\"{durability}\""));
        let riley = herd.run("Riley");
        let mut kiwi = herd.client("Riley");
        let _ = kiwi.ask("IAMAT kiwi +34.0-118.4 1795504736.5");
        thread::sleep(SETTLES);
        let before = written(riley.id())?;
        for number in 0..WORN {
            let _ = kiwi.ask(&format!("IAMAT kiwi-{} +34.0-118.4 {}", number % 100, 1_795_500_000 + number));
        }
        thread::sleep(SETTLES);
        let per_report = (written(riley.id())? - before) / WORN;
        reporter.show(figure, format!("{per_report} bytes"), per_report <= bytes_max);
    }
    Ok(())
}

/// Bytes that a process caused to be written to disks.
fn written(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/io"))?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    bytes.and_then(|bytes| bytes.parse().ok()).context("the kernel does not say what a process wrote")
}

const MIB: u64 = 128;
const REPORTS: u64 = 1_000_000;
const SENDERS: u64 = 8;
const BATCH: usize = 200;
const CLIENTS: usize = 100_000;
/// Far below the ports of an address, of which closed connections hold some for a minute.
const PER_ADDRESS: usize = 10_000;
const LOOK_EVERY: usize = 500;
const WORN: u64 = 2000;
/// In which the log of a node is written after the last report.
const SETTLES: Duration = Duration::from_millis(1500);
