//! Tests of cases, with guests in WebAssembly text.

use std::time::Duration;

use gimli::write::{Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections};
use gimli::{DW_AT_high_pc, DW_AT_low_pc, DW_AT_name, DW_AT_stmt_list, Encoding, Format, LineEncoding, LittleEndian};
use herd_recording::Call;
use herd_sdk::Moment;

use super::*;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::generation::GenerationContext;
use crate::test_guest::{NOW, TestGuest, engine, lines};

/// DWARF by which all code of a module is line 7 of `guest.rs`, as custom sections in WebAssembly text.
fn dwarf() -> String {
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };
    let mut dwarf = DwarfUnit::new(encoding);
    let (directory, file) = (LineString::String(b"src".to_vec()), LineString::String(b"guest.rs".to_vec()));
    let mut program = LineProgram::new(encoding, LineEncoding::default(), directory, None, file.clone(), None);
    let directory = program.default_directory();
    let file_id = program.add_file(file, directory, None);
    program.begin_sequence(Some(Address::Constant(0)));
    program.row().file = file_id;
    program.row().line = 7;
    program.generate_row();
    program.end_sequence(CODE_BYTES);
    dwarf.unit.line_program = program;
    let ranges = dwarf.unit.root();
    let unit = dwarf.unit.get_mut(ranges);
    unit.set(DW_AT_name, AttributeValue::String(b"guest.rs".to_vec()));
    unit.set(DW_AT_low_pc, AttributeValue::Address(Address::Constant(0)));
    unit.set(DW_AT_high_pc, AttributeValue::Udata(CODE_BYTES));
    unit.set(DW_AT_stmt_list, AttributeValue::LineProgramRef);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut text = String::new();
    sections
        .for_each(|id, data| {
            let bytes: String = data.slice().iter().map(|byte| format!("\\{byte:02x}")).collect();
            text += &format!("(@custom \"{}\" \"{bytes}\")\n", id.name());
            Ok::<_, gimli::write::Error>(())
        })
        .unwrap();
    text
}

/// More than the code of any guest here.
const CODE_BYTES: u64 = 1 << 16;

/// The case of a guest that traps on `BOOM`.
fn case(faulting: &TestGuest) -> Case {
    let load = |guest: &TestGuest, id| {
        let settings = herd_sdk::Settings { node: "Riley".into(), table: vec![] };
        let (records, context) = (Arc::new(MemoryRecords::default()), GenerationContext::default());
        let (bytes, id) = (guest.bytes(), herd_model::GenerationId(id));
        let guest = AcceptedGuest::by_hand(&bytes).unwrap();
        let loaded = Generation::load(&engine(), id, &guest, settings, records, &context);
        Arc::new(loaded.unwrap())
    };
    let (faulting, rescuing) = (load(faulting, 2), load(&TestGuest::new("previous"), 1));
    let (at, inputs): (Moment, _) = (NOW, lines(&["BOOM\n"]));
    let fault = faulting.call(|instance| instance.decide(at, &Call::Inputs(&inputs))).unwrap_err();
    let recorded = RecordedCall { at, call: OwnedCall::Inputs(inputs), reads: vec![] };
    make(&recorded, &fault, &faulting, &rescuing, &Budget::new(Duration::from_secs(3600), vec![])).unwrap()
}

#[test]
fn case_has_a_backtrace_with_file_and_line_if_the_guest_carries_dwarf() {
    let text = case(&TestGuest::new("traps").on_boom("unreachable").with(&dwarf())).text;
    assert!(text.contains("guest.rs:7") && text.contains("boom"), "{text}");
}

#[test]
fn case_of_a_guest_without_dwarf_has_no_backtrace() {
    let text = case(&TestGuest::new("traps").on_boom("unreachable")).text;
    assert!(!text.contains("Where the guest faulted"), "{text}");
}

#[test]
fn replay_of_one_call_has_a_backtrace_with_file_and_line_if_the_guest_carries_dwarf() {
    let guest = |guest: TestGuest| {
        let settings = herd_sdk::Settings { node: "Riley".into(), table: vec![] };
        crate::ReplayedGuests::new(&engine()).load(&guest.bytes(), settings).unwrap()
    };
    let boom = RecordedCall { at: NOW, call: OwnedCall::Inputs(lines(&["BOOM\n"])), reads: vec![] };
    let explained = guest(TestGuest::new("traps").on_boom("unreachable").with(&dwarf())).explain(&boom);
    assert!(explained.decided.is_err());
    let frames = explained.backtrace.join("\n");
    assert!(frames.contains("guest.rs:7") && frames.contains("boom"), "{frames}");
    let explained = guest(TestGuest::new("traps").on_boom("unreachable")).explain(&boom);
    assert!(explained.decided.is_err() && explained.backtrace.is_empty());
}
