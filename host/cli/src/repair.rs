//! `herd repair`: proofs that nodes hold equal records, now.

use std::process::ExitCode;

use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::answers::Answers;
use super::format::Format;
use super::json_text::text;
use super::nodes::{NodesArgs, ask_each};

/// Has nodes prove over their links that they hold equal records, and prints the outcome of each link. Fails if a node does not answer or
/// a link gave no proof.
pub(super) fn repair(config: &AdminHerd, args: &NodesArgs) -> anyhow::Result<ExitCode> {
    let answers = ask_each(config, &args.node, async |client, node| client.prove(node).await)?;
    let is_proved = answers.successes().all(|(_, answer)| links(answer).all(|link| link["proved"] == true));
    let code = if args.format() == Format::Json {
        answers.print_json()?
    } else {
        say_on!("{}", outcomes(&answers));
        answers.exit_code()?
    };
    Ok(if is_proved { code } else { ExitCode::FAILURE })
}

fn links(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["links"].as_array().into_iter().flatten()
}

/// Describes each link of each node, a line each.
fn outcomes(answers: &Answers) -> String {
    let line = |node: &str, link: &Value| {
        let outcome = match (link["proved"] == true, link["repairs"].as_u64().unwrap_or_default()) {
            (true, 0) => "equal".into(),
            (true, 1) => "equal, after 1 place was mended".into(),
            (true, repairs) => format!("equal, after {repairs} places were mended"),
            (false, _) => {
                let lag = text(&link["lag"]);
                format!(
                    "not proved in time: records are under way, {lag} keeps behind; ask again when clients are quiet"
                )
            }
        };
        format!("{node} - {}: {outcome}\n", text(&link["peer"]))
    };
    let lines = |(node, answer)| links(answer).map(|link| line(node, link)).collect::<String>();
    answers.successes().map(lines).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repair_prints_a_line_for_each_end_of_a_link() {
        let riley = json!({ "links": [
            { "peer": "Jaquez", "proved": true, "repairs": 0, "lag": 0 },
            { "peer": "Juzang", "proved": true, "repairs": 3, "lag": 0 },
            { "peer": "Bernard", "proved": false, "repairs": 0, "lag": 7 },
        ] });
        let text = outcomes(&Answers(vec![("Riley".into(), Ok(riley))]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["Riley - Jaquez: equal", "Riley - Juzang: equal, after 3 places were mended"]);
        assert!(lines[2].starts_with("Riley - Bernard: not proved in time") && lines[2].contains("7 keeps"), "{text}");
    }
}
