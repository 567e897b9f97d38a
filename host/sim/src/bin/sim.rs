//! Runs schedules without the rest of Herd: `sim schedules|herds COUNT [FIRST]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize, default| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, first) = (number(2, 1000), number(3, 0));
    let seeds = match arguments.get(1).map(String::as_str) {
        Some("herds") => {
            let herd = |seed| {
                herd_sim::run(herd_sim::SimOptions::new(seed)).map(|report| {
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
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}
