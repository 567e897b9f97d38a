//! Scripts for shells, and manual pages, as the shells and `man` take them.

use std::path::Path;
use std::process::Command;

use herd_tests::{Herd, Scratch, tool};

/// Runs a program and returns its output, once it has ended well and without a word on standard error.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes the script for a shell to a file of this name.
fn script(scratch: &Scratch, shell: &str, name: &str) -> std::path::PathBuf {
    scratch.write(name, run(Command::new(Herd::binary()).args(["completions", shell])))
}

#[test]
fn completions_of_bash_complete_commands_options_and_nested_commands() {
    let scratch = Scratch::new();
    let file = script(&scratch, "bash", "herd.bash");
    // What bash does at a tab: the words so far, the place of the cursor, and the function of the command.
    let complete = |words: &[&str]| {
        let tab = "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _herd herd \"${@: -1}\" \"${@: -2:1}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        run(Command::new("bash").args(["--norc", "-c", tab]).arg(&file).args(words))
    };
    assert_eq!(complete(&["herd", "swa"]).trim(), "swap");
    assert_eq!(complete(&["herd", "swap", "--cana"]).trim(), "--canary");
    assert_eq!(complete(&["herd", "certs", "iss"]).trim(), "issue");
    assert_eq!(complete(&["herd", "completions", "f"]).trim(), "fish");
}

#[test]
fn completions_of_zsh_are_a_completion_function() {
    let Some(zsh) = tool("zsh", "zsh") else { return };
    let scratch = Scratch::new();
    script(&scratch, "zsh", "_herd");
    let load =
        "fpath=(\"$0\" $fpath); autoload -U compinit; compinit -D -u; print -r -- $_comps[herd]; autoload +X _herd";
    assert_eq!(run(Command::new(zsh).args(["-f", "-c", load]).arg(scratch.directory())), "_herd\n");
}

#[test]
fn completions_of_fish_complete_commands() {
    let Some(fish) = tool("fish", "fish") else { return };
    let scratch = Scratch::new();
    let file = script(&scratch, "fish", "herd.fish");
    let mut complete = Command::new(fish);
    complete.args(["--no-config", "-c", "source $argv[1]; complete -C 'herd roll'"]).arg(file);
    complete.env("HOME", scratch.directory());
    let completed = run(&mut complete);
    assert!(completed.starts_with("rollback\t"), "{completed}");
}

#[test]
fn man_pages_are_read_by_man_without_a_warning() {
    let Some(man) = tool("man", "man-db") else { return };
    let scratch = Scratch::new();
    let said = run(Command::new(Herd::binary()).arg("man").arg(scratch.directory()));
    let pages: Vec<_> = std::fs::read_dir(scratch.directory()).unwrap().map(|page| page.unwrap().path()).collect();
    assert_eq!(said, format!("{} manual pages in {}\n", pages.len(), scratch.directory().display()));
    let read = |page: &Path| {
        let mut command = Command::new(&man);
        command.args(["--warnings", "-l"]).arg(page).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
        run(&mut command)
    };
    for page in &pages {
        let text = read(page);
        assert!(["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS"].iter().all(|head| text.contains(head)), "{text}");
    }
    let swap = read(&scratch.path("herd-swap.1"));
    assert!(swap.contains("--canary") && swap.contains("HERD_CONFIG"), "{swap}");
}
