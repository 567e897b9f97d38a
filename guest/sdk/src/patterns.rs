//! Patterns for state in records. This module holds documentation only; its examples run as tests.
//!
//! # A record is a register
//!
//! Under a key, every node keeps the record with the highest rank. Two nodes that replace one record at the same time each decide from what
//! they have, both are told that it was kept, and one of the two decisions is lost: *the last writer wins*. That is right for what has
//! a latest value, such as a position. It is wrong for what has to add up. A counter in one record loses counts:
//!
//! ```
//! # use std::sync::Arc;
//! # use herd_sdk::native::{Decider, MemoryRecords, Native};
//! # use herd_sdk::*;
//! # struct Counter;
//! # impl Logic for Counter {
//! #     fn describe() -> Description { Description::default() }
//! #     fn configure(_: &Settings) -> Result<Self, BadSetting> { Ok(Self) }
//! fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//!     input.lines(|_| {
//!         let found = context.record(b"count").unwrap_or_default();
//!         let count = found.bytes.try_into().map_or(0, u64::from_be_bytes) + 1;
//!         let rank = context.now_ns().to_be_bytes();
//!         context.keep(b"count", &rank, 1, |out| out.extend(count.to_be_bytes())); // wrong: see below
//!     })
//! }
//! # }
//! # let tell = |from: &MemoryRecords, to: &MemoryRecords| {
//! #     let found = from.find(&[b"count"]).remove(0).unwrap();
//! #     to.apply_report(&Report { key: b"count", rank: &found.rank, form: 1, bytes: &found.bytes, origin: b"" });
//! # };
//! # let [riley, jaquez] = [(); 2].map(|()| Arc::new(MemoryRecords::default()));
//! # let line = |records: &Arc<MemoryRecords>, now_ns| {
//! #     let mut guest = Native::new(Counter, records.clone());
//! #     let decision = guest.input(Moment { now_ns, random: (0, 0) }, Input { bytes: b"hit\n", mark: Mark::More }).unwrap();
//! #     records.apply(&decision);
//! # };
//! // A line at each of two nodes, and then both hear of the other's record.
//! line(&riley, 1);
//! line(&jaquez, 2);
//! tell(&riley, &jaquez);
//! tell(&jaquez, &riley);
//! let count = riley.find(&[b"count"]).remove(0).unwrap().bytes;
//! assert_eq!(count, 1_u64.to_be_bytes(), "two lines, and one of them is lost");
//! ```
//!
//! Two workers of one node lose counts the same way: they decide at the same time and share no lock. A record that holds a map, a list or
//! a set has the same fault.
//!
//! # A key for each writer
//!
//! Give each writer a key of its own, and let the reader add up. A writer is whatever decides one thing after the other: a client,
//! whose lines stay in order on its session, or a node that has one worker (`runtime.workers = 1`). Records cannot be listed, so the
//! reader has to know the writers: here, from a setting that names the nodes.
//!
//! ```
//! # use std::sync::Arc;
//! # use herd_sdk::native::{Decider, MemoryRecords, Native};
//! # use herd_sdk::*;
//! struct Counter {
//!     node: String,
//!     nodes: Vec<String>,
//! }
//!
//! impl Counter {
//!     fn key(node: &str) -> Vec<u8> {
//!         format!("count/{node}").into_bytes()
//!     }
//!
//!     fn count(context: &Context<'_>, node: &str) -> u64 {
//!         let found = context.record(&Self::key(node)).unwrap_or_default();
//!         found.bytes.try_into().map_or(0, u64::from_be_bytes)
//!     }
//! }
//!
//! impl Logic for Counter {
//! #     fn describe() -> Description { Description::default() }
//!     fn configure(settings: &Settings) -> Result<Self, BadSetting> {
//!         // `nodes = ["Riley", "Jaquez"]` in the table `[logic]`; a list arrives joined with commas.
//!         let nodes = settings.value("nodes").unwrap_or(&settings.node).split(',').map(Into::into).collect();
//!         Ok(Self { node: settings.node.clone(), nodes })
//!     }
//!
//!     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//!         input.lines(|line| {
//!             if line == b"total" {
//!                 let total: u64 = self.nodes.iter().map(|node| Self::count(context, node)).sum();
//!                 return context.reply(format!("{total}\n").as_bytes());
//!             }
//!             let count = Self::count(context, &self.node) + 1;
//!             // The rank is the count itself, so that it never falls, whatever the clock does.
//!             let (key, rank) = (Self::key(&self.node), count.to_be_bytes());
//!             let keep = context.keep(&key, &rank, 1, |out| out.extend(count.to_be_bytes()));
//!             context.reply_if_kept(keep, |out| out.extend(b"counted\n"), |out| out.extend(b"not counted\n"));
//!         })
//!     }
//! }
//! # let nodes = ["Riley", "Jaquez"];
//! # let records = nodes.map(|_| Arc::new(MemoryRecords::default()));
//! # let ask = |at: usize, line: &str| {
//! #     let settings = Settings { node: nodes[at].into(), table: vec![("nodes".into(), nodes.join(","))] };
//! #     let mut guest = Native::new(Counter::configure(&settings).unwrap(), records[at].clone());
//! #     let input = format!("{line}\n");
//! #     let decision = guest.input(Moment::default(), Input { bytes: input.as_bytes(), mark: Mark::More }).unwrap();
//! #     records[at].apply(&decision);
//! #     String::from_utf8(decision.output).unwrap()
//! # };
//! # let tell = |from: usize, to: usize| for key in nodes.map(Counter::key) {
//! #     if let Some(found) = records[from].find(&[&key]).remove(0) {
//! #         records[to].apply_report(&Report { key: &key, rank: &found.rank, form: 1, bytes: &found.bytes, origin: b"" });
//! #     }
//! # };
//! # let (riley, jaquez) = (0, 1);
//! ask(riley, "hit");
//! ask(jaquez, "hit");
//! ask(jaquez, "hit");
//! tell(riley, jaquez);
//! tell(jaquez, riley);
//! assert_eq!(ask(riley, "total"), "3\n");
//! assert_eq!(ask(jaquez, "total"), "3\n");
//! ```
//!
//! # A rank that carries the count
//!
//! If the client knows the count, as an odometer or a sequence number does, let it send the total and not the step, and let the *rank be
//! the total*. The highest rank wins, so the highest total stays, in whatever order and at whatever node the lines arrive, and a line that
//! is sent twice counts once. No look-up and no clock is needed.
//!
//! ```
//! # use std::sync::Arc;
//! # use herd_sdk::native::{Decider, MemoryRecords, Native};
//! # use herd_sdk::*;
//! # struct Odometer;
//! # impl Logic for Odometer {
//! #     fn describe() -> Description { Description::default() }
//! #     fn configure(_: &Settings) -> Result<Self, BadSetting> { Ok(Self) }
//! /// `<vehicle> <metres>`
//! fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//!     input.lines(|line| {
//!         let text = str::from_utf8(line).unwrap_or_default();
//!         let parsed = text.split_once(' ').and_then(|(key, metres)| Some((key, metres.parse::<u64>().ok()?)));
//!         let Some((vehicle, metres)) = parsed.filter(|(key, _)| !key.is_empty()) else { return context.reply(b"?\n") };
//!         // Big-endian: ranks compare as bytes, so the text "9" would rank above "10".
//!         let keep = context.keep(vehicle.as_bytes(), &metres.to_be_bytes(), 1, |out| out.extend(line));
//!         context.reply_if_kept(keep, |out| out.extend(b"OK\n"), |out| out.extend(b"?\n"));
//!     })
//! }
//! # }
//! # let records = Arc::new(MemoryRecords::default());
//! # let mut guest = Native::new(Odometer, records.clone());
//! # let mut send = |line: &str| {
//! #     let input = Input { bytes: line.as_bytes(), mark: Mark::More };
//! #     records.apply(&guest.input(Moment::default(), input).unwrap());
//! # };
//! send("van 900\n");
//! send("van 1200\n");
//! send("van 900\n"); // late, or sent again
//! assert_eq!(records.find(&[b"van"]).remove(0).unwrap().bytes, b"van 1200");
//! ```
//!
//! # Records are found by their exact key
//!
//! [`Context::record`](crate::Context::record) is the only way to a record: there is no list of keys, no search by prefix, and no time at
//! which a record ends. A guest that has to find records keeps keys that it can compute, as above, or has a writer keep a list of its own.
