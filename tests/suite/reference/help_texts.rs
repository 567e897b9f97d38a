//! Help of all commands, one section each.
//!
//! The options that every command takes are shown once, with those of `herd` itself.

use std::fmt::Write as _;

/// Makes the page from the help that the program prints.
pub(super) fn page(herd: impl Fn(&[&str]) -> String) -> String {
    let root = herd(&["--help"]);
    let common = options(&root);
    let mut page = String::new();
    write(&mut page, "herd", &root);
    for (name, _) in commands(&root) {
        section(&mut page, &herd, &[&name], &common);
    }
    page
}

fn section(page: &mut String, herd: &impl Fn(&[&str]) -> String, names: &[&str], common: &[String]) {
    let text = herd(&[names, &["--help"]].concat());
    write(page, &format!("herd {}", names.join(" ")), &without(&text, common));
    for (name, _) in commands(&text) {
        section(page, herd, &[names, &[&*name]].concat(), common);
    }
}

fn write(page: &mut String, command: &str, text: &str) {
    let text: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {command}\n\n```text\n{}\n```\n", text.join("\n"));
}

/// Returns the names of the commands that a help lists, each with its line.
fn commands(text: &str) -> Vec<(String, String)> {
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that is indented further goes on with the description above.
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| Some((line.split_whitespace().next()?.to_string(), line.to_string()))).collect()
}

/// Returns the options that a help describes, each with its whole description.
fn options(text: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "Options:").skip(1).take_while(is_of_options) {
        match options.last_mut() {
            Some(option) if !is_first_of_option(line) => *option += &format!("{line}\n"),
            _ => options.push(format!("{line}\n")),
        }
    }
    options.into_iter().map(|option| option.trim_end().into()).collect()
}

/// Returns a help without these options.
fn without(text: &str, common: &[String]) -> String {
    let Some((before, rest)) = text.split_once("\nOptions:\n") else { return text.into() };
    let length = rest.lines().take_while(is_of_options).map(|line| line.len() + 1).sum::<usize>().min(rest.len());
    // Each help lays the same option out in its own way.
    let own: Vec<String> =
        options(text).into_iter().filter(|option| !common.iter().any(|one| flags(one) == flags(option))).collect();
    let after = &rest[length..];
    match own.is_empty() {
        true => format!("{before}\n{after}"),
        false => format!("{before}\nOptions:\n{}\n\n{after}", own.join("\n\n")),
    }
}

/// Returns what is typed for an option.
fn flags(option: &str) -> &str {
    let line = option.lines().next().unwrap_or_default().trim_start();
    line.split_once("  ").map_or(line, |(flags, _)| flags)
}

fn is_of_options(line: &&str) -> bool {
    line.is_empty() || line.starts_with(' ')
}

fn is_first_of_option(line: &str) -> bool {
    line.len() - line.trim_start().len() <= 6 && line.trim_start().starts_with('-')
}
