//! Answers of nodes, as they are printed, and the exit code that they make.

use std::process::ExitCode;

use anyhow::bail;
use herd_admin::AdminClientError;
use serde_json::{Value, json};

use super::json_text::{generation, short, text};

/// What each node answered.
pub(super) type Answers = Vec<(String, Result<Value, AdminClientError>)>;

/// Says what came of a swap of the herd at each node. A node that is absent is no failure: it hears of it when it is back.
pub(super) fn print_herd_swap(answer: &Value, as_json: bool, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        say!("{}", serde_json::to_string_pretty(answer)?);
    }
    let digest = short(&answer["digest"]);
    let mut back: Vec<String> = Vec::new();
    for (name, outcome) in answer["nodes"].as_object().into_iter().flatten() {
        let line = match outcome.as_str() {
            Some("absent") => "absent; takes it up when it is back".into(),
            Some(_) => "takes it up, and has not said yet that it serves".into(),
            None if outcome["back"].is_string() => {
                back.push(format!("{name}: {}", text(&outcome["back"])));
                continue;
            }
            None => {
                let serving = &outcome["serving"];
                format!("generation {} ({digest}) {what}, {}", text(&serving["generation"]), text(&serving["name"]))
            }
        };
        if !as_json {
            say!("{name}: {line}");
        }
    }
    exit_code_without(&back)
}

pub(super) fn print_swaps(answers: &Answers, as_json: bool, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        return print_json(answers);
    }
    for (name, answer) in answers {
        if let Ok(answer) = answer {
            let active = &answer["active"];
            say!("{name}: generation {} {what}, {}", generation(active), text(&active["name"]));
        }
    }
    exit_code(answers)
}

/// Says of each node what its canary or shadow, whose name in the answers is `role`, does.
pub(super) fn print_candidates(answers: &Answers, as_json: bool, role: &str, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        return print_json(answers);
    }
    for (name, answer) in answers {
        if let Ok(answer) = answer {
            let candidate = &answer[role]["candidate"];
            say!("{name}: generation {}, {}, {what}", generation(candidate), text(&candidate["name"]));
        }
    }
    exit_code(answers)
}

pub(super) fn print_json(answers: &Answers) -> anyhow::Result<ExitCode> {
    let nodes: serde_json::Map<String, Value> = answers
        .iter()
        .map(|(name, answer)| {
            let value = answer.as_ref().map_or_else(|error| json!({ "error": error.to_string() }), Clone::clone);
            (name.clone(), value)
        })
        .collect();
    say!("{}", serde_json::to_string_pretty(&nodes)?);
    Ok(if answers.iter().all(|(_, answer)| answer.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Success if every node answered.
pub(super) fn exit_code(answers: &Answers) -> anyhow::Result<ExitCode> {
    let failed: Vec<String> =
        answers.iter().filter_map(|(name, answer)| Some(format!("{name}: {}", answer.as_ref().err()?))).collect();
    exit_code_without(&failed)
}

/// Success if nothing failed, or else what did, a line each.
fn exit_code_without(failed: &[String]) -> anyhow::Result<ExitCode> {
    match failed {
        [] => Ok(ExitCode::SUCCESS),
        [one] => bail!("{one}"),
        many => bail!("\n  {}", many.join("\n  ")),
    }
}
