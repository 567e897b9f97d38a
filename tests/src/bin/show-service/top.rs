//! `herd top` in a terminal, at 80x24 and 200x50: the time until a node that was killed, or stopped, shows as missing.

use std::time::{Duration, Instant};

use anyhow::Result;
use herd_tests::{Bar, Herd, Process, Reporter, Row, Tmux, tool};

pub(crate) const ROW: Row = Row {
    name: "top",
    figures: &[
        Bar { figure: "killed node in herd top, longest", bar: "at most 2 s" },
        Bar { figure: "stopped node in herd top, longest", bar: "at most 2 s" },
        Bar { figure: "terminals that herd top restored", bar: "all" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let program =
        tool("tmux", "tmux").ok_or_else(|| anyhow::anyhow!("tmux is not installed (apt-get install tmux)"))?;
    let herd = Herd::of_five();
    let mut nodes: Vec<(&str, Process)> = herd.names().into_iter().map(|name| (name, herd.run(name))).collect();
    herd.await_linked(&herd.names());
    let (mut killed, mut stopped, mut restored) = (Duration::ZERO, Duration::ZERO, 0);
    for size in SIZES {
        let terminal = Tmux::start(&program, size, &herd.command(&["top"]));
        terminal.await_shown("5 of 5 nodes up");
        for round in 0..ROUNDS {
            let (name, process) = &mut nodes[round % 5];
            let began = Instant::now();
            process.stop();
            terminal.await_shown(&format!("{name} no answer: "));
            stopped = stopped.max(began.elapsed());
            process.go_on();
            terminal.await_shown("5 of 5 nodes up");
            let began = Instant::now();
            process.kill();
            terminal.await_shown(&format!("{name} down: "));
            killed = killed.max(began.elapsed());
            *process = herd.run(name);
            terminal.await_shown("5 of 5 nodes up");
        }
        terminal.press(&["q"]);
        terminal.await_shown("ended 0");
        // Printed behind it; ` -icanon` if the terminal is not restored.
        let left = terminal.await_shown("icanon");
        restored += usize::from(!terminal.is_alternate() && left.contains(" icanon"));
    }
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    reporter.show("killed node in herd top, longest", seconds(killed), killed <= BAR);
    reporter.show("stopped node in herd top, longest", seconds(stopped), stopped <= BAR);
    let all = restored == SIZES.len();
    reporter.show("terminals that herd top restored", format!("{restored} of {}", SIZES.len()), all);
    Ok(())
}

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];
/// Kills and stops at each size.
const ROUNDS: usize = 5;
const BAR: Duration = Duration::from_secs(2);
