//! One process per node: kills, stops, drains, any start order, and how reports spread through it all.

use std::collections::{BTreeMap, BTreeSet};

use herd_tests::{Behaviour, Client, Herd, Process, eventually};

/// The running processes of a herd, by node name.
struct Processes<'a> {
    herd: &'a Herd,
    running: BTreeMap<&'a str, Process>,
}

impl<'a> Processes<'a> {
    fn of(herd: &'a Herd) -> Self {
        let mut processes = Self { herd, running: BTreeMap::new() };
        processes.start(&herd.names());
        herd.await_linked(&herd.names());
        processes
    }

    fn start(&mut self, nodes: &[&'a str]) {
        for &node in nodes {
            self.running.insert(node, self.herd.run_without_waiting(node));
        }
        for &node in nodes {
            self.running.get_mut(node).unwrap().await_line(&format!("{node} ready"));
        }
    }

    fn kill(&mut self, nodes: &[&'a str]) {
        nodes.iter().for_each(|node| self.running.remove(node).unwrap().kill());
    }

    fn alive(&self) -> Vec<&'a str> {
        self.running.keys().copied().collect()
    }

    /// The nodes that a report made at this node can reach now, itself included.
    fn island(&self, node: &'a str) -> BTreeSet<&'a str> {
        let mut island = BTreeSet::from([node]);
        let mut found = vec![node];
        while let Some(node) = found.pop() {
            let neighbours = self.herd.neighbours(node).into_iter().filter(|other| self.running.contains_key(other));
            found.extend(neighbours.filter(|other| island.insert(other)));
        }
        island
    }

    /// Reports at every running node and checks that each report reaches exactly the nodes connected to it.
    fn flood(&self, round: &str) {
        let name = |node: &str| format!("{round}-{node}");
        for node in self.alive() {
            let answer = self.herd.client(node).ask(&format!("IAMAT {} +34-118 1", name(node)));
            assert!(answer.starts_with(&format!("AT {node} ")), "{answer}");
        }
        for node in self.alive() {
            let island: Vec<&str> = self.island(node).into_iter().collect();
            self.herd.await_known(&name(node), &island);
        }
        // By now every report has reached all nodes that it can reach, so one that is missing here cannot still be on its way.
        for node in self.alive() {
            let island = self.island(node);
            for other in self.alive().into_iter().filter(|other| !island.contains(other)) {
                assert!(
                    !self.herd.knows(other, &name(node)),
                    "{other} knows a report of {node}, to which it is not connected"
                );
            }
        }
    }

    /// Kills some nodes, floods, restarts them, and floods again. Returns whether the nodes that were left stayed connected.
    fn lose_and_regain(&mut self, nodes: &[&'a str]) -> bool {
        let round = nodes.join("-");
        self.kill(nodes);
        let whole = self.island(self.alive()[0]).len() == self.alive().len();
        self.herd.await_linked(&self.alive());
        self.flood(&format!("without-{round}"));
        self.start(nodes);
        self.herd.await_linked(&self.herd.names());
        self.flood(&format!("with-{round}"));
        whole
    }
}

#[test]
fn flood_survives_any_killed_node_and_reaches_it_after_its_restart() {
    let herd = Herd::of_five();
    let mut processes = Processes::of(&herd);
    for node in herd.names() {
        assert!(processes.lose_and_regain(&[node]), "the herd is connected without {node}");
    }
}

/// Three of the ten pairs partition the nodes that are left; with those killed, a report must reach its own side only.
#[test]
fn flood_reaches_exactly_the_connected_nodes_with_any_two_killed() {
    let herd = Herd::of_five();
    let mut processes = Processes::of(&herd);
    let mut cut = vec![];
    for (index, &first) in herd.names().iter().enumerate() {
        for &second in &herd.names()[index + 1..] {
            if !processes.lose_and_regain(&[first, second]) {
                cut.push([first, second]);
            }
        }
    }
    assert_eq!(
        cut,
        [["Bernard", "Juzang"], ["Bernard", "Riley"], ["Jaquez", "Juzang"]],
        "exactly three pairs partition the herd"
    );
}

#[test]
fn links_come_up_in_any_start_order() {
    let herd = Herd::of_five();
    let forwards = herd.names();
    let backwards: Vec<&str> = forwards.iter().rev().copied().collect();
    for order in [forwards, backwards] {
        let running: Vec<Process> = order.iter().map(|node| herd.run(node)).collect();
        herd.await_linked(&order);
        drop(running);
    }
}

/// Goal: a stopped peer delays no other node. Method: more reports than the buffers of its connections hold; each has to be
/// answered and to reach all other nodes.
#[test]
fn stopped_peer_delays_no_other_node() {
    let herd = Herd::of_five().with("links.queue_mib_max=64");
    let processes = Processes::of(&herd);
    let others = ["Bernard", "Campbell", "Jaquez", "Riley"];
    processes.running["Juzang"].stop();
    let mut client = herd.client("Riley");
    let padding = "x".repeat(60_000);
    let name = |number: usize| format!("{padding}-{number}");
    for number in 0..REPORTS {
        assert!(client.ask(&format!("IAMAT {} +34-118 1", name(number))).starts_with("AT Riley "));
    }
    herd.await_known(&name(REPORTS - 1), &others);
    for node in others {
        assert!(herd.client(node).ask("IAMAT passer-by +34-118 1").starts_with(&format!("AT {node} ")));
        herd.await_status(node, "every report", |status| status["records"]["keys"] == REPORTS + 1);
    }
    processes.running["Juzang"].go_on();
    herd.await_linked(&herd.names());
    processes.flood("all");
}

#[test]
fn link_to_a_node_of_another_herd_is_refused() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]);
    let _stranger = herd.run_as_member_of("other", "Jaquez");
    let riley = herd.run("Riley");
    let status = herd.await_status("Riley", "a reason why there is no link", |status| {
        status["links"][0]["last_error"].as_str().is_some_and(|error| error.contains("of herd other"))
    });
    assert_eq!(status["links"][0]["state"], "down", "{status}");
    assert!(herd.client("Riley").ask("IAMAT kiwi +34-118 1").starts_with("AT Riley "));
    assert!(!herd.knows("Jaquez", "kiwi"));
    riley.await_log(&["WARN", "no link to peer", "of herd other"]);
}

/// Goal: repair delivers the reports that a full link queue dropped. Method: a stopped peer, a queue far smaller than the reports
/// made meanwhile, and equal digests in the end.
#[test]
fn repair_delivers_every_report_that_a_full_link_queue_dropped() {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]).with("links.queue_mib_max=1");
    let processes = Processes::of(&herd);
    processes.running["Jaquez"].stop();
    let mut client = herd.client("Riley");
    let padding = "x".repeat(60_000);
    for number in 0..REPORTS {
        assert!(client.ask(&format!("IAMAT {padding}-{number} +34-118 1")).starts_with("AT Riley "));
    }
    herd.await_status("Riley", "dropped reports", |status| status["links"][0]["dropped_reports"].as_u64() > Some(0));
    processes.running["Jaquez"].go_on();
    herd.await_status("Jaquez", "every report", |status| status["records"]["keys"] == REPORTS);
    assert_eq!(herd.digest("Jaquez"), herd.digest("Riley"));
}

/// Starts a herd of one whose upstream holds back its answers, and a client that waits for one. Returns its `AT` line too.
fn waiting() -> (Herd, Process, Client, String) {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=60000");
    let riley = herd.run("Riley");
    let mut client = herd.client("Riley");
    let at = client.ask("IAMAT kiwi +34-118 1");
    herd.places().behave(Behaviour::Held);
    client.send("WHATSAT kiwi 10 5\n");
    herd.places().await_requests(1);
    (herd, riley, client, at)
}

fn await_draining(herd: &Herd, riley: &Process) {
    riley.await_log(&["draining"]);
    eventually("the listener is closed", || match Client::try_connect(herd.address("Riley")) {
        Ok(_) => Err("a connection was accepted".into()),
        Err(_) => Ok(()),
    });
}

#[test]
fn drain_of_a_whole_herd_logs_no_warning_and_names_nodes_in_one_style() {
    let herd = Herd::of_five();
    let mut up = herd.up();
    up.terminate();
    assert_eq!(up.wait().code(), Some(0));
    let log = up.log();
    let bad: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    assert!(bad.is_empty() && log.contains("node stopped"), "{bad:#?}");
    assert!(!log.contains("node=\""), "{log}");
}

#[test]
fn drain_answers_pending_commands_and_exits_with_0() {
    let (herd, mut riley, mut client, at) = waiting();
    riley.terminate();
    await_draining(&herd, &riley);
    assert!(riley.is_running());
    herd.places().behave(Behaviour::Results(1));
    assert_eq!(client.line(), at);
    assert!(client.json().contains("Place 1"));
    assert_eq!(client.rest(), b"");
    assert_eq!(riley.wait().code(), Some(0));
}

#[test]
fn drain_ends_at_once_on_a_second_signal() {
    let (herd, mut riley, mut client, _) = waiting();
    riley.terminate();
    await_draining(&herd, &riley);
    riley.terminate();
    assert_eq!(riley.wait().code(), Some(0));
    assert!(riley.log().contains("stopped without waiting"));
    assert!(client.is_cut_off(), "the pending answer was not waited for");
}

/// Reports made while a peer is stopped. Each takes 180 kB on a link, because the record contains the client's name: 27 MB exceed
/// what a pair of socket buffers takes, and fit into the queue of a link even if all of them wait in the lane of one worker.
const REPORTS: usize = 150;
