//! Commands: their table, and what each decides.
//!
//! Owns names, numbers of arguments, and the words of errors. It must not know how records are kept.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::float;
use crate::geohash::Position;
use crate::places::{Places, Placing};
use crate::reply::{self, NULL, NULL_ARRAY, OK};
use crate::request::Argument;
use crate::server;
use crate::turn::{Refusal, Stored, Turn};
use crate::value::Value;

/// Command of the protocol.
pub(crate) struct Command {
    /// Name in lower case.
    pub(crate) name: &'static str,
    /// Number of arguments with the name; negative: at least so many.
    pub(crate) arity: i64,
    /// Effect on records, in the words of `COMMAND`.
    pub(crate) flag: Option<&'static str>,
    /// Positions of the first and the last key, and the step between keys; all 0 without keys.
    pub(crate) keys: [i64; 3],
    decide: fn(&mut Turn<'_, '_>, &[Argument<'_>]) -> Result<(), Error>,
}

/// Error of a command.
pub(crate) enum Error {
    /// The words, after the dash.
    Words(Cow<'static, str>),
    /// Wrong number of arguments of the command, or of the subcommand of this name.
    Arity(Option<&'static str>),
    /// A read or write of a record was refused.
    Refused(Refusal),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<&'static str> for Error {
    fn from(words: &'static str) -> Self {
        Self::Words(words.into())
    }
}

/// All commands, the most frequent ones first.
pub(crate) const COMMANDS: [Command; 14] = [
    Command { name: "set", arity: -3, flag: Some("write"), keys: [1, 1, 1], decide: set },
    Command { name: "get", arity: 2, flag: Some("readonly"), keys: [1, 1, 1], decide: get },
    Command { name: "geoadd", arity: -5, flag: Some("write"), keys: [1, 1, 1], decide: geoadd },
    Command { name: "geopos", arity: -2, flag: Some("readonly"), keys: [1, 1, 1], decide: geopos },
    Command { name: "geodist", arity: -4, flag: Some("readonly"), keys: [1, 1, 1], decide: geodist },
    Command { name: "ping", arity: -1, flag: None, keys: [0; 3], decide: ping },
    Command { name: "echo", arity: 2, flag: None, keys: [0; 3], decide: echo },
    Command { name: "del", arity: -2, flag: Some("write"), keys: [1, -1, 1], decide: del },
    Command { name: "exists", arity: -2, flag: Some("readonly"), keys: [1, -1, 1], decide: exists },
    Command { name: "hello", arity: -1, flag: None, keys: [0; 3], decide: server::hello },
    Command { name: "client", arity: -2, flag: None, keys: [0; 3], decide: server::client },
    Command { name: "command", arity: -1, flag: None, keys: [0; 3], decide: server::command },
    Command { name: "info", arity: -1, flag: None, keys: [0; 3], decide: server::info },
    Command { name: "quit", arity: -1, flag: None, keys: [0; 3], decide: quit },
];

/// Performs a command. Breaks if it ends the session.
pub(crate) fn perform(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> ControlFlow<()> {
    let Some(name) = arguments.first() else { return ControlFlow::Continue(()) };
    let Some(command) = find(name) else {
        turn.close_set();
        turn.context.reply_with(|out| reply::write_error(out, &unknown(arguments)));
        return ControlFlow::Continue(());
    };
    let count = arguments.len() as i64;
    let fits = if command.arity < 0 { count >= -command.arity } else { count == command.arity };
    let decided = if fits { (command.decide)(turn, arguments) } else { Err(Error::Arity(None)) };
    if let Err(error) = decided {
        // Replies that wait for the open set come first.
        turn.close_set();
        match error {
            Error::Words(words) => reply::error(turn.context, &words),
            Error::Refused(refusal) => reply::error(turn.context, refusal.text()),
            Error::Arity(sub) => {
                let (bar, sub) = (if sub.is_some() { "|" } else { "" }, sub.unwrap_or_default());
                let name = command.name;
                reply::error(turn.context, &format!("ERR wrong number of arguments for '{name}{bar}{sub}' command"));
            }
        }
    }
    if command.name == "quit" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Returns the command of a name in upper or lower case.
#[inline]
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Words of the error for an unknown command: its name and the beginning of its arguments. As in redis, each ends at its first zero.
fn unknown(arguments: &[Argument<'_>]) -> Vec<u8> {
    let text = |argument: &'_ [u8], bytes: usize| -> Vec<u8> {
        argument.iter().copied().take(bytes).take_while(|&byte| byte != 0).collect()
    };
    let mut quoted = vec![];
    for argument in &arguments[1..] {
        if quoted.len() >= QUOTED_BYTES_MAX {
            break;
        }
        let argument = text(argument, QUOTED_BYTES_MAX - quoted.len());
        quoted.extend([b"'", &*argument, b"' "].concat());
    }
    [b"ERR unknown command '", &*text(&arguments[0], QUOTED_BYTES_MAX), b"', with args beginning with: ", &*quoted]
        .concat()
}

fn set(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let [_, key, value, options @ ..] = arguments else { return Err(Error::Arity(None)) };
    if let Some(option) = options.first() {
        let option = option.to_ascii_uppercase();
        return Err(match &*option {
            b"NX" | b"XX" | b"GET" => {
                "ERR SET takes no NX, XX or GET: other nodes write too, so a node cannot promise them".into()
            }
            b"EX" | b"PX" | b"EXAT" | b"PXAT" | b"KEEPTTL" => {
                "ERR SET takes no time to live: records do not expire".into()
            }
            _ => SYNTAX.into(),
        });
    }
    let seen = turn.read_for_order(key)?;
    let keep = turn.keep(key, seen.as_ref(), Value::Text(value))?;
    turn.reply_to_write(Some(keep), |out| out.extend_from_slice(OK));
    Ok(())
}

fn get(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let stored = turn.read(&arguments[1])?;
    match stored.as_ref().and_then(Stored::value) {
        None => turn.context.reply(NULL),
        Some(Value::Text(text)) => turn.context.reply_with(|out| reply::write_bulk(out, text)),
        Some(_) => return Err(Refusal::WrongType.into()),
    }
    Ok(())
}

fn del(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let mut deleted = vec![];
    for key in &arguments[1..] {
        let stored = turn.read(key)?;
        let exists = stored.as_ref().and_then(Stored::value).is_some();
        let is_repeated = deleted.iter().any(|(other, _): &(&Argument<'_>, _)| *other == key);
        if exists && !is_repeated {
            deleted.push((key, stored));
        }
    }
    // Only after every key was read: a command that is refused writes nothing. A reply is tied to one keep, which is the last.
    let mut last = None;
    for (key, stored) in &deleted {
        last = Some(turn.keep(key, stored.as_ref(), Value::Deleted)?);
    }
    turn.reply_to_write(last, |out| reply::write_integer(out, deleted.len() as u64));
    Ok(())
}

fn exists(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let mut count = 0;
    for key in &arguments[1..] {
        count += u64::from(turn.read(key)?.as_ref().and_then(Stored::value).is_some());
    }
    turn.context.reply_with(|out| reply::write_integer(out, count));
    Ok(())
}

fn geoadd(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let (mut placing, mut counts_moved, mut at) = (Placing::All, false, 2);
    while let Some(option) = arguments.get(at) {
        match &*option.to_ascii_uppercase() {
            b"NX" if placing != Placing::Known => placing = Placing::New,
            b"XX" if placing != Placing::New => placing = Placing::Known,
            b"NX" | b"XX" => return Err(SYNTAX.into()),
            b"CH" => counts_moved = true,
            _ => break,
        }
        at += 1;
    }
    let (members, rest) = arguments[at..].as_chunks::<3>();
    if !rest.is_empty() || members.is_empty() {
        return Err(SYNTAX.into());
    }
    let mut placed = Vec::with_capacity(members.len());
    for [longitude, latitude, member] in members {
        let [Some(longitude), Some(latitude)] = [longitude, latitude].map(|text| float::parse(text)) else {
            return Err("ERR value is not a valid float".into());
        };
        let Some(position) = Position::new(longitude, latitude) else {
            let words = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
            return Err(Error::Words(words.into()));
        };
        placed.push((&**member, position.geohash()));
    }
    turn.place(&arguments[1], placed.into_iter(), placing, counts_moved)?;
    Ok(())
}

fn geopos(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    let stored = turn.read(&arguments[1])?;
    let places = places(stored.as_ref())?.unwrap_or_default();
    turn.context.reply_with(|out| {
        reply::write_array(out, arguments.len() - 2);
        for member in &arguments[2..] {
            let Some(geohash) = places.geohash(member) else {
                out.extend_from_slice(NULL_ARRAY);
                continue;
            };
            let Position { longitude, latitude } = geohash.position();
            reply::write_array(out, 2);
            reply::write_bulk(out, float::coordinate(longitude).as_bytes());
            reply::write_bulk(out, float::coordinate(latitude).as_bytes());
        }
    });
    Ok(())
}

fn geodist(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    if arguments.len() > 5 {
        return Err(SYNTAX.into());
    }
    let unit_m = match arguments.get(4).map(|unit| unit.to_ascii_lowercase()).as_deref() {
        None | Some(b"m") => 1.0,
        Some(b"km") => 1000.0,
        Some(b"ft") => 0.3048,
        Some(b"mi") => 1609.34,
        Some(_) => return Err("ERR unsupported unit provided. please use M, KM, FT, MI".into()),
    };
    let stored = turn.read(&arguments[1])?;
    let places = places(stored.as_ref())?.unwrap_or_default();
    match [&arguments[2], &arguments[3]].map(|member| places.geohash(member)) {
        [Some(from), Some(to)] => {
            let distance = from.position().distance_m(to.position()) / unit_m;
            turn.context.reply_with(|out| reply::write_bulk(out, float::distance(distance).as_bytes()));
        }
        _ => turn.context.reply(NULL),
    }
    Ok(())
}

/// Returns the geo set of a key.
fn places(stored: Option<&Stored>) -> Result<Option<Places<'_>>, Refusal> {
    match stored.and_then(Stored::value) {
        None => Ok(None),
        Some(Value::Places(places)) => Ok(Some(places)),
        Some(_) => Err(Refusal::WrongType),
    }
}

fn ping(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    match arguments {
        [_] => turn.context.reply(b"+PONG\r\n"),
        [_, text] => turn.context.reply_with(|out| reply::write_bulk(out, text)),
        _ => return Err(Error::Arity(None)),
    }
    Ok(())
}

fn echo(turn: &mut Turn<'_, '_>, arguments: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    turn.context.reply_with(|out| reply::write_bulk(out, &arguments[1]));
    Ok(())
}

fn quit(turn: &mut Turn<'_, '_>, _: &[Argument<'_>]) -> Result<(), Error> {
    turn.close_set();
    turn.context.reply(OK);
    turn.context.close();
    Ok(())
}

pub(crate) const SYNTAX: &str = "ERR syntax error";

/// Bytes that the error for an unknown command or subcommand quotes: of the name, and of the arguments together.
pub(crate) const QUOTED_BYTES_MAX: usize = 128;
