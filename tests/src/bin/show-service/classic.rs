//! A herd half moved over: nodes and older programs in Python, linked in a circle through both. Reports at either kind reach all of both,
//! and their floods end.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, ClassicPeer, Client, Herd, Reporter, Row, eventually};

pub(crate) const ROW: Row = Row {
    name: "classic",
    figures: &[
        Bar { figure: "reports at nodes that an older program lacks", bar: "0 of 500, at 2 programs" },
        Bar { figure: "reports at older programs that a node lacks", bar: "0 of 500, at 4 nodes" },
        Bar { figure: "lines on classic links for a report", bar: "at most 7: each link both ways, and one more" },
        Bar { figure: "lines once all have everything", bar: "0" },
    ],
    measure,
};

/// Clark and Johnson are neighbours of one another and each of one node, so a report can come around in both directions.
fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let peer = |name, ip| ClassicPeer::at(name, ip).context("no Python");
    let (clark, johnson) = (peer("Clark", OLDER[0])?, peer("Johnson", OLDER[1])?);
    let herd =
        Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &["Juzang"]), ("Juzang", &["Campbell"]), ("Campbell", &[])])
            .with(&format!("classic.accept=[\"{}\", \"{}\"]", OLDER[0], OLDER[1]))
            // No line is sent without a reason while they are counted.
            .with("classic.resend_s=0")
            .with_classic("Riley", &[clark.address()])
            .with_classic("Campbell", &[johnson.address()]);
    let _clark = clark.start(&[herd.classic_address("Riley"), johnson.address()]);
    let _johnson = johnson.start(&[herd.classic_address("Campbell"), clark.address()]);
    let _up = herd.up();
    herd.await_linked(&herd.names());
    let older = [&clark, &johnson];

    let names = herd.names();
    let mut nodes: Vec<Client> = names.iter().map(|name| herd.client(name)).collect();
    let mut programs: Vec<Client> = older.iter().map(|peer| peer.client()).collect();
    let (at_nodes, at_programs) = (report("node", &mut nodes)?, report("older", &mut programs)?);
    let lacking_nodes = settle(&at_nodes, &mut programs);
    let lacking_programs = settle(&at_programs, &mut nodes);
    // What came from the other side has to be there in the own one, too.
    ensure!(
        settle(&at_nodes, &mut nodes) + settle(&at_programs, &mut programs) == 0,
        "a side lacks reports of its own"
    );
    reporter.show(
        "reports at nodes that an older program lacks",
        format!("{lacking_nodes} of {REPORTS}"),
        lacking_nodes == 0,
    );
    reporter.show(
        "reports at older programs that a node lacks",
        format!("{lacking_programs} of {REPORTS}"),
        lacking_programs == 0,
    );

    let lines = || {
        // What programs sent, and what nodes sent to them.
        let sent: u64 = older.iter().map(|peer| peer.counts()[1]).sum();
        let of_node = |node: &&str| herd.status(node)["classic"]["peers"][0]["sent"].as_u64().unwrap_or_default();
        sent + ["Riley", "Campbell"].iter().map(of_node).sum::<u64>()
    };
    let mut last = lines();
    // Twice the same: a flood that did not end would go on.
    let lines_in_all = eventually("the last lines", || {
        std::thread::sleep(QUIET);
        let now = lines();
        if std::mem::replace(&mut last, now) == now { Ok(now) } else { Err(format!("{now} lines")) }
    });
    // A window in which nothing has a reason to be sent: its lines are the figure.
    std::thread::sleep(10 * QUIET);
    let later = lines() - lines_in_all;
    let each = lines_in_all as f64 / (2 * REPORTS) as f64;
    reporter.show("lines on classic links for a report", format!("{each:.2}"), each <= 7.0);
    reporter.show("lines once all have everything", later, later == 0);
    Ok(())
}

/// Reports that many clients, to each of these in turn. Returns the answers by name.
fn report(kind: &str, to: &mut [Client]) -> Result<Vec<(String, String)>> {
    let count = to.len();
    (0..REPORTS)
        .map(|number| {
            let client = format!("{kind}-{number}");
            let answer = to[number % count].ask(&format!("IAMAT {client} +34.068930-118.445127 {number}.5"));
            ensure!(answer.starts_with("AT "), "{answer}");
            Ok((client, answer))
        })
        .collect()
}

/// Waits until each of these answers with every line, for as long as some are missing. Returns the number that one of them lacks in the end.
fn settle(reports: &[(String, String)], at: &mut [Client]) -> usize {
    let mut lacking: Vec<&(String, String)> = reports.iter().collect();
    let began = std::time::Instant::now();
    while !lacking.is_empty() && began.elapsed() < herd_tests::WAIT_MAX {
        lacking.retain(|(client, line)| {
            !at.iter_mut().all(|node| node.ask_places(&format!("WHATSAT {client} 1 0")).0 == *line)
        });
    }
    lacking.len()
}

const REPORTS: usize = 500;
/// Addresses of the older programs: each of their own, because a node takes what an address sends for that of the peer there.
const OLDER: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::new(127, 0, 0, 10)];
const QUIET: Duration = Duration::from_millis(200);
