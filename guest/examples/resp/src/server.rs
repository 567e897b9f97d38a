//! Commands about the server and the connection: `HELLO`, `CLIENT`, `COMMAND` and `INFO`.
//!
//! Owns what clients ask when they connect. A session of this contract has no state, so a name is accepted and forgotten.

use crate::command::{COMMANDS, Command, Error, QUOTED_BYTES_MAX, SYNTAX, find};
use crate::reply::{self, NULL, NULL_ARRAY, OK};
use crate::request::{Argument, integer};
use crate::turn::Turn;

/// Version of redis whose answers this guest gives.
const REDIS_VERSION: &str = "7.0.15";

/// `HELLO [2 [SETNAME name]]`.
pub(crate) fn hello(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    if let Some(version) = arguments.get(1) {
        match integer(version) {
            Some(2) => {}
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
        }
    }
    let mut options = arguments.get(2..).unwrap_or_default().iter();
    while let Some(option) = options.next() {
        match &*option.to_ascii_uppercase() {
            b"SETNAME" if options.next().is_some() => {}
            b"AUTH" => return Err("ERR AUTH is not supported: this server has no users".into()),
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(Error::Words(format!("ERR Syntax error in HELLO option '{option}'").into()));
            }
        }
    }
    turn.context.reply_with(|out| {
        reply::write_array(out, 14);
        let texts =
            |out: &mut Vec<u8>, texts: &[&str]| texts.iter().for_each(|text| reply::write_bulk(out, text.as_bytes()));
        texts(out, &["server", "redis", "version", REDIS_VERSION, "proto"]);
        reply::write_integer(out, 2);
        texts(out, &["id"]);
        reply::write_integer(out, 0);
        texts(out, &["mode", "standalone", "role", "master", "modules"]);
        reply::write_array(out, 0);
    });
    Ok(())
}

/// `CLIENT SETNAME name`, `CLIENT SETINFO attribute value` and `CLIENT GETNAME`.
pub(crate) fn client(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    let (reply, count, name) = match &*arguments[1].to_ascii_uppercase() {
        b"SETNAME" => (OK, 3, "setname"),
        b"SETINFO" => (OK, 4, "setinfo"),
        b"GETNAME" => (NULL, 2, "getname"),
        _ => return Err(unknown_subcommand(&arguments[1], "CLIENT")),
    };
    if arguments.len() != count {
        return Err(Error::Arity(Some(name)));
    }
    turn.context.reply(reply);
    Ok(())
}

/// `COMMAND`, `COMMAND COUNT`, `COMMAND LIST`, `COMMAND INFO [name...]` and `COMMAND DOCS [name...]`, which has none.
pub(crate) fn command(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    let Some(subcommand) = arguments.get(1) else {
        turn.context.reply_with(write_commands);
        return Ok(());
    };
    let names = &arguments[2..];
    match &*subcommand.to_ascii_uppercase() {
        b"COUNT" if names.is_empty() => {
            turn.context.reply_with(|out| reply::write_integer(out, COMMANDS.len() as u64));
        }
        b"LIST" if names.is_empty() => turn.context.reply_with(|out| {
            reply::write_array(out, COMMANDS.len());
            COMMANDS.iter().for_each(|command| reply::write_bulk(out, command.name.as_bytes()));
        }),
        b"LIST" => return Err(SYNTAX.into()),
        b"COUNT" => return Err(Error::Arity(Some("count"))),
        b"DOCS" => turn.context.reply_with(|out| reply::write_array(out, 0)),
        b"INFO" if names.is_empty() => turn.context.reply_with(write_commands),
        b"INFO" => turn.context.reply_with(|out| {
            reply::write_array(out, names.len());
            for name in names {
                match find(name) {
                    Some(command) => write_command(out, command),
                    None => out.extend_from_slice(NULL_ARRAY),
                }
            }
        }),
        _ => return Err(unknown_subcommand(subcommand, "COMMAND")),
    }
    Ok(())
}

fn write_commands(out: &mut Vec<u8>) {
    reply::write_array(out, COMMANDS.len());
    COMMANDS.iter().for_each(|command| write_command(out, command));
}

/// Appends the fields that every version of redis has.
fn write_command(out: &mut Vec<u8>, command: &Command) {
    reply::write_array(out, 6);
    reply::write_bulk(out, command.name.as_bytes());
    write_signed(out, command.arity);
    reply::write_array(out, usize::from(command.flag.is_some()));
    if let Some(flag) = command.flag {
        out.extend_from_slice(format!("+{flag}\r\n").as_bytes());
    }
    command.keys.iter().for_each(|&number| write_signed(out, number));
}

fn write_signed(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(format!(":{number}\r\n").as_bytes());
}

/// `INFO [section...]`: what this guest knows of the server and of its place in the herd.
pub(crate) fn info(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    let wants = |section: &str| {
        let names = [section, "all", "default", "everything"];
        let is_named = |wanted: &Argument<'_>| names.iter().any(|name| wanted.eq_ignore_ascii_case(name.as_bytes()));
        arguments.len() == 1 || arguments[1..].iter().any(is_named)
    };
    let server = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nherd_guest:resp {}\r\nherd_node:{}\r\n",
        env!("CARGO_PKG_VERSION"),
        turn.node,
    );
    // Every node of a herd takes writes.
    let replication = "# Replication\r\nrole:master\r\n";
    let sections = [("server", &*server), ("replication", replication)];
    let text: Vec<&str> = sections.iter().filter(|(name, _)| wants(name)).map(|&(_, text)| text).collect();
    turn.context.reply_with(|out| reply::write_bulk(out, text.join("\r\n").as_bytes()));
    Ok(())
}

fn unknown_subcommand(name: &[u8], command: &str) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(QUOTED_BYTES_MAX)]);
    Error::Words(format!("ERR unknown subcommand '{name}'. Try {command} HELP.").into())
}
