//! What a service manager hears of a node: its start, signs of life, an upgrade, and its end.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use herd_tests::{Herd, Process, WAIT_MAX};

/// A manager that listens to one node.
struct Manager(Receiver<String>);

impl Manager {
    /// Starts a node under a manager that expects signs of life every tenth of a second.
    fn start(herd: &Herd, variables: &[(&str, String)]) -> (Self, Process) {
        let path = herd.scratch().path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (messages, received) = channel();
        // All the time, as managers do: a node drops messages that nobody reads.
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                if messages.send(String::from_utf8(message[..length].into()).unwrap()).is_err() {
                    return;
                }
            }
        });
        let own = [("NOTIFY_SOCKET", path.display().to_string()), ("WATCHDOG_USEC", "100000".into())];
        (Self(received), herd.run_with_variables("Riley", &[&own, variables].concat()))
    }

    fn next(&self) -> String {
        self.0.recv_timeout(WAIT_MAX).expect("a message in time")
    }

    /// Waits for a message that begins like this, and returns all up to it.
    #[track_caller]
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut messages = vec![];
        loop {
            let message = self.next();
            let is_wanted = message.starts_with(wanted);
            messages.push(message);
            if is_wanted {
                return messages;
            }
        }
    }
}

#[test]
fn supervisor_hears_that_a_node_is_ready_lives_is_upgraded_and_stops() {
    let herd = Herd::of_one();
    let (manager, mut riley) = Manager::start(&herd, &[]);
    let ready = manager.until("READY=1").pop().unwrap();
    assert_eq!(ready, format!("READY=1\nSTATUS=Riley accepts clients on {}\n", herd.address("Riley")));
    for _ in 0..3 {
        manager.until("WATCHDOG=1\n");
    }
    // The program after an upgrade is the same process to the manager, which waits for signs of life all the time.
    assert!(herd.herd(&["upgrade"]).status.success());
    manager.until("STATUS=draining for an upgrade from herd ");
    manager.until("READY=1");
    manager.until("WATCHDOG=1\n");
    riley.terminate();
    manager.until("STOPPING=1\n");
    assert_eq!(riley.wait().code(), Some(0));
}

#[test]
fn supervisor_that_watches_another_process_hears_no_signs_of_life() {
    let herd = Herd::of_one();
    let (manager, mut riley) = Manager::start(&herd, &[("WATCHDOG_PID", "1".into())]);
    manager.until("READY=1");
    riley.terminate();
    assert_eq!(manager.until("STOPPING=1"), ["STOPPING=1\nSTATUS=draining\n"]);
    assert_eq!(riley.wait().code(), Some(0));
}
