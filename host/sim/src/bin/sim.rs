//! Runs schedules without the rest of Herd: `sim schedules|herds COUNT [FIRST]`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize, default| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, first) = (number(2, 1000), number(3, 0));
    // Of all herds: commands, and virtual milliseconds.
    let (commands, virtual_ms) = (AtomicU64::new(0), AtomicU64::new(0));
    // Herds of which all nodes lost power at once.
    let dark = AtomicU64::new(0);
    // Returns after an absence, at which a node took its records anew.
    let returns = AtomicU64::new(0);
    let seeds = match arguments.get(1).map(String::as_str) {
        Some("herds") => {
            let herd = |seed| {
                let options = herd_sim::SimOptions::new(seed);
                herd_sim::Simulation::new(options).run().map(|report| {
                    commands.fetch_add(report.commands, Ordering::Relaxed);
                    dark.fetch_add(u64::from(report.power_losses_of_all > 0), Ordering::Relaxed);
                    returns.fetch_add(report.rejoins, Ordering::Relaxed);
                    virtual_ms.fetch_add(options.duration.as_millis() as u64, Ordering::Relaxed);
                    if count == 1 {
                        println!("{report:?}");
                    }
                })
            };
            herd_sim::run_seeds(first, count, herd, |_| ())
        }
        Some("schedules") => herd_sim::run_seeds(first, count, herd_sim::run_schedule, |_| ()),
        _ => {
            eprintln!("usage: sim schedules|herds COUNT [FIRST]");
            return ExitCode::from(2);
        }
    };
    match seeds.failed {
        None => {
            println!("{} seeds hold", seeds.run);
            let (commands, virtual_ms) = (commands.into_inner(), virtual_ms.into_inner());
            if virtual_ms > 0 {
                println!("{} seeds with a loss of power everywhere", dark.into_inner());
                println!("{} returns of nodes that were off for a month", returns.into_inner());
                println!("{:.1} commands a virtual second", commands as f64 * 1000.0 / virtual_ms as f64);
            }
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}
