//! A guest that speaks the redis protocol (RESP2), so that `redis-cli`, redis-py and `redis-benchmark` talk to a replicated
//! herd in which every node takes writes. It shows that the host knows no protocol: this guest shares nothing with the default logic but
//! the contract.
//!
//! Build it with `cargo build --profile guest -p herd-example-resp --target wasm32-wasip2`, serve it with
//! `herd swap target/wasm32-wasip2/guest/herd_example_resp.wasm`, and type `redis-cli -p PORT SET kiwi 1` at any node.
//!
//! # Commands
//!
//! `PING`, `ECHO`, `SET`, `GET`, `DEL`, `EXISTS`, `GEOADD`, `GEOPOS`, `GEODIST`, `HELLO`, `CLIENT`, `COMMAND`, `INFO` and `QUIT`, as arrays
//! of strings or inline, pipelined or not. Errors have the words of redis. `HELLO 3` is answered with `-NOPROTO`; configure a client
//! for RESP2 (redis-py: `protocol=2`).
//!
//! # What a write means
//!
//! Each key is one record, and the last writer wins. Writes rank by the clock of their node, then by their number in a call, then by the
//! name of the node. Two nodes that write one key at the same time both answer `OK`; the write with the later time stays at every node, and
//! the other one is lost, as on a redis with two masters. So does a `SET` at a node whose clock is behind: it loses against what a
//! faster clock wrote a moment before, though it was answered `OK`.
//!
//! With the setting `order = "seen"` (`[logic]` in the configuration), a `SET` looks up the record of its key and ranks above it, whatever
//! the clocks say: then a write wins over every write that its node has seen. That makes a pipelined `SET` about three times as expensive.
//! `GEOADD` and `DEL` read the record anyway and always rank above it.
//!
//! - **A geo set is one record** of at most 64 KiB, about 2,300 members with names of 18 bytes. Two nodes that add to one set at the same
//!   time lose the members of one of them. Write a set through one node, or give each writer a set of its own.
//! - **`SET` takes no options**: `NX` would promise a lock that a herd of several writers cannot give, and records do not expire.
//! - **`DEL` keeps a mark** in place of the record, which counts as a record of the node.
//! - **A session has no state**: `CLIENT SETNAME` is accepted and forgotten.
//!
//! # Limits
//!
//! A command has at most 64 KiB and 1024 arguments. A call of the guest writes at most 4 MiB and reads at most 8 MiB of records; a
//! command beyond that is answered with `-TRYAGAIN` and changes nothing. Send fewer commands at once then.
//!
//! # Swapping
//!
//! Records have a form of their own. Those of the default logic are shown as strings (`GET kiwi` answers with its `AT` line), and the
//! default logic is shown the strings of this guest, so the two swap into one another.

#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

mod command;
mod float;
mod geohash;
mod inline;
mod places;
mod rank;
mod reply;
mod request;
mod server;
mod turn;
mod value;

use std::ops::ControlFlow;

use herd_sdk::{
    Awaiting, BadSetting, Context, Description, Forms, Input, Logic, Mark, Progress, Report, Reports, Settings,
    Unconvertible,
};

use crate::command::COMMANDS;
use crate::rank::Ranker;
use crate::request::Parsed;
use crate::turn::{Order, Turn};
use crate::value::{FIRST_FORM, FORM, Value};

/// Logic of the redis protocol.
#[derive(Clone, Debug)]
pub struct Resp {
    node: String,
    ranker: Ranker,
    order: Order,
}

impl Logic for Resp {
    fn describe() -> Description {
        Description {
            name: "resp".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commands: COMMANDS.iter().map(|command| command.name.to_ascii_uppercase()).collect(),
        }
    }

    /// Ignores the settings of other guests, so that it can replace them.
    fn configure(settings: &Settings) -> Result<Self, BadSetting> {
        let order = match settings.value("order") {
            None | Some("clock") => Order::Clock,
            Some("seen") => Order::Seen,
            Some(other) => {
                let problem = format!("`{other}` is neither `clock` nor `seen`");
                return Err(BadSetting { name: "order".into(), problem });
            }
        };
        Ok(Self { node: settings.node.clone(), ranker: Ranker::new(settings.node.as_bytes()), order })
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        let all = Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') };
        if input.mark == Mark::Overlong {
            reply::error(context, "ERR Protocol error: too big request");
            context.close();
            return all;
        }
        let mut turn = Turn::new(&self.ranker, self.order, &self.node, context);
        let (mut arguments, mut rest) = (vec![], input.bytes);
        loop {
            match request::parse(rest, &mut arguments) {
                Parsed::Request(length) => {
                    rest = &rest[length..];
                    if turn.perform(&arguments) == ControlFlow::Break(()) {
                        return all;
                    }
                }
                Parsed::Malformed(why) => {
                    turn.refuse(&why.to_string());
                    return all;
                }
                Parsed::Incomplete(awaits) => {
                    turn.finish();
                    // A command whose end never comes is dropped, as by redis.
                    let is_last = input.mark == Mark::End;
                    return if is_last { all } else { Progress { consumed: input.bytes.len() - rest.len(), awaits } };
                }
            }
        }
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        let is_valid = |report: &Report<'_>| report.form == FORM && Value::is_valid(report.bytes);
        for (index, _) in reports.iter().enumerate().filter(|(_, report)| !is_valid(report)) {
            context.refuse(index);
        }
    }
}

/// Records of the default logic are strings here, and strings are shown to it.
impl Forms for Resp {
    const NATIVE: u32 = FORM;

    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        match from {
            FORM if Value::is_valid(bytes) => Ok(bytes.to_vec()),
            FORM => Err(Unconvertible::Malformed),
            FIRST_FORM => Ok(Value::Text(bytes).to_record()),
            _ => Err(Unconvertible::UnknownForm),
        }
    }

    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        match (to, Value::parse(bytes)) {
            (FORM, Some(_)) => Ok(bytes.to_vec()),
            (FIRST_FORM, Some(Value::Text(text))) => Ok(text.to_vec()),
            (FORM | FIRST_FORM, _) => Err(Unconvertible::Malformed),
            _ => Err(Unconvertible::UnknownForm),
        }
    }
}

herd_sdk::export!(Resp, forms);
