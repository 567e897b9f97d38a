//! `herd log`: show and change what running nodes log.
//!
//! Tells names of nodes from the filter, so that both may stand in one line without an option.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use herd_admin::LogOptions;
use herd_audit::sanitize;
use herd_config::suggestion;
use serde_json::Value;

use super::admin_herd::AdminHerd;
use super::answers::Answers;
use super::json_text::text;
use super::log_filter::{LEVELS, parse};
use super::nodes::ask_each;

/// Arguments of `herd log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Nodes, all of them if none is named, and then a level (error, warn, info, debug, trace, off) or a filter, such as
    /// info,guest=debug. Without a filter, the present one is shown.
    #[arg(value_name = "NODE|FILTER")]
    words: Vec<String>,
    /// Print the answers of the nodes as JSON.
    #[arg(long)]
    json: bool,
}

/// Shows or sets the log filter of nodes. Fails if a node does not answer.
pub(super) fn log(config: &AdminHerd, args: &LogArgs) -> anyhow::Result<ExitCode> {
    let (names, filter) = told_apart(&config.node_names(), &args.words)?;
    let answers = match filter {
        // Refused here, before any node is asked, with the same words.
        Some(filter) => {
            parse(&filter)?;
            let options = LogOptions { filter };
            ask_each(config, &names, async |client, node| client.set_log(node, &options).await)?
        }
        None => ask_each(config, &names, async |client, node| client.log(node).await)?,
    };
    if args.json {
        return answers.print_json();
    }
    say_on!("{}", lines(&answers));
    answers.exit_code()
}

/// Splits words into names of nodes and the filter, which is the last one if it is no node.
fn told_apart(nodes: &[&str], words: &[String]) -> anyhow::Result<(Vec<String>, Option<String>)> {
    let is_node = |word: &String| nodes.contains(&word.as_str());
    let (names, filter) = match words.split_last() {
        Some((last, names)) if !is_node(last) => (names, Some(last.clone())),
        _ => (words, None),
    };
    if let Some(word) = names.iter().find(|word| !is_node(word)) {
        bail!("unknown node `{word}`{}", suggestion(word, nodes));
    }
    // One word that is neither may be meant as either.
    if let Some(word) = filter.as_deref().filter(|word| !word.contains(['=', ',', '[']))
        && parse(word).is_err()
    {
        bail!("`{word}` is neither a node nor a level{}", suggestion(word, nodes.iter().copied().chain(LEVELS)));
    }
    Ok((names.to_vec(), filter))
}

/// Returns a line for each node that answered, and one for nodes that share a process with these.
fn lines(answers: &Answers) -> String {
    let (mut lines, mut shared) = (String::new(), BTreeSet::new());
    for (node, answer) in answers.successes() {
        let filter = sanitize(&text(&answer["filter"]));
        lines += &match answer["before"].as_str() {
            Some(before) => {
                shared.extend(answer["nodes"].as_array().into_iter().flatten().filter_map(Value::as_str));
                format!("{node}: {filter}, before {}\n", sanitize(before))
            }
            None => format!("{node}: {filter}\n"),
        };
    }
    for (node, _) in answers.iter() {
        shared.remove(node);
    }
    if !shared.is_empty() {
        let others: Vec<String> = shared.into_iter().map(sanitize).collect();
        lines += &format!("also {}, in the same process\n", others.join(", "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NODES: [&str; 3] = ["Riley", "Jaquez", "info"];

    fn split(words: &[&str]) -> Result<(Vec<String>, Option<String>), String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        told_apart(&NODES, &words).map_err(|error| error.to_string())
    }

    #[test]
    fn log_tells_nodes_from_the_filter() {
        let of = |nodes: &[&str], filter: Option<&str>| {
            Ok((nodes.iter().map(ToString::to_string).collect(), filter.map(Into::into)))
        };
        assert_eq!(split(&[]), of(&[], None));
        assert_eq!(split(&["Riley"]), of(&["Riley"], None));
        assert_eq!(split(&["debug"]), of(&[], Some("debug")));
        assert_eq!(split(&["Riley", "Jaquez", "info,guest=debug"]), of(&["Riley", "Jaquez"], Some("info,guest=debug")));
        assert_eq!(split(&["info"]), of(&["info"], None), "a node may have the name of a level");
    }

    #[test]
    fn log_says_what_was_meant_by_a_misspelt_word() {
        let wanted = "`debgu` is neither a node nor a level; did you mean `debug`?";
        assert_eq!(split(&["Riley", "debgu"]), Err(wanted.into()));
        assert_eq!(split(&["Rilley"]), Err("`Rilley` is neither a node nor a level; did you mean `Riley`?".into()));
        let wanted = "unknown node `Rilley`; did you mean `Riley`?";
        assert_eq!(split(&["Rilley", "debug"]), Err(wanted.into()));
        let wanted = "`nonsense` is neither a node nor a level; known are Riley, Jaquez, info, error, warn, info, debug, trace, off";
        assert_eq!(split(&["nonsense"]), Err(wanted.into()));
    }

    #[test]
    fn log_names_the_nodes_that_share_the_process() {
        let nodes = json!(["Riley", "Jaquez", "Juzang"]);
        let answer = |filter: &str| Ok(json!({ "filter": filter, "before": "info", "nodes": nodes }));
        let answers = Answers(vec![("Riley".into(), answer("debug")), ("Jaquez".into(), answer("debug"))]);
        let wanted = "Riley: debug, before info\nJaquez: debug, before info\nalso Juzang, in the same process\n";
        assert_eq!(lines(&answers), wanted);
        let shown = Answers(vec![("Riley".into(), Ok(json!({ "filter": "info", "nodes": nodes })))]);
        assert_eq!(lines(&shown), "Riley: info\n");
    }
}
