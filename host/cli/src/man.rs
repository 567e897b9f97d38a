//! `herd man`: a manual page for every command, from the same definitions as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::exit_status::EXIT_STATUS;

/// Arguments of `herd man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Directory for the pages, such as ~/.local/share/man/man1; made if it is missing.
    directory: PathBuf,
}

/// Writes the pages, over those that are there.
///
/// # Errors
///
/// The directory or a page cannot be written; those before it are written.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    // Built, so that a command knows its full name and the arguments of all commands.
    let mut command = Cli::command();
    command.build();
    let count = write(&command, directory)?;
    say!("{count} manual pages in {}", directory.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of its subcommands, and returns how many.
fn write(command: &Command, directory: &Path) -> anyhow::Result<usize> {
    let man = Man::new(command.clone()).source(concat!("herd ", env!("CARGO_PKG_VERSION"))).manual("Herd manual");
    let path = directory.join(man.get_filename());
    let mut page = Vec::new();
    render(&man, command, &mut page)?;
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    let mut count = 1;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        count += write(subcommand, directory)?;
    }
    Ok(count)
}

fn render(man: &Man, command: &Command, page: &mut dyn Write) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    let mut roff = Roff::new();
    if let Some(examples) = command.get_after_long_help().or(command.get_after_help()) {
        // As they stand: commands must not be filled into paragraphs.
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.to_string().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_STATUS {
        roff.control("TP", []).text([bold(code.to_string())]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]).text([
        bold("herd"),
        roman("(1), "),
        bold("herd help concepts"),
        roman(", /usr/share/doc/herd"),
    ]);
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_pages_have_all_commands_their_options_and_the_exit_codes() {
        fn check(command: &Command, directory: &Path) {
            let name = command.get_display_name().unwrap_or("herd");
            let page = fs::read_to_string(directory.join(format!("{name}.1"))).unwrap();
            // As roff writes a hyphen that is no dash.
            let page = page.replace("\\-", "-");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let shown = argument.get_long().map_or("".into(), |long| format!("--{long}"));
                assert!(page.contains(&shown), "{name} {shown}");
            }
            for (code, meaning) in EXIT_STATUS {
                assert!(page.contains(&format!("{code}")) && page.contains(meaning), "{name} {code}");
            }
            assert!(page.contains(&format!("\n{name} - ")), "{page}");
            let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
            shown.for_each(|command| check(command, directory));
        }
        let directory = std::env::temp_dir().join(format!("herd-man-{}", std::process::id()));
        man(&ManArgs { directory: directory.clone() }).unwrap();
        let mut command = Cli::command();
        command.build();
        check(&command, &directory);
        assert!(directory.join("herd-certs-issue.1").exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
