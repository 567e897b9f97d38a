//! Tests of conversion, with guests whose `upgrade` takes long.

use herd_model::GenerationId;
use herd_sdk::{Report, ReportBatch};

use super::*;
use crate::forms::reader::RecordReader;
use crate::sandbox::record_view::RecordView;
use crate::test_guest::{TestGuest, engine};

/// A reader of form 2 whose conversions take some milliseconds each.
fn slow_reader() -> RecordReader {
    let slow = "
        (local $left i32) (local.set $left (i32.const 3000000))
        (loop $next (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";
    let compiled = engine().compile(&TestGuest::new("slow").on_upgrade(slow).bytes()).unwrap();
    let settings = Settings { node: "Riley".into(), table: vec![] };
    let converter = Converter::new(&engine(), &compiled, &settings, (&InstanceCount::default(), GenerationId(1)));
    RecordReader::new(Some(converter.unwrap()))
}

/// Goal: a frame of reports in another form holds its worker for a budget and not for a deadline per report. Method: as many
/// reports as a frame has; only those that were converted are in the batch.
#[test]
fn conversions_that_succeed_share_one_budget_per_call() {
    let reader = slow_reader();
    let keys: Vec<String> = (0..512).map(|number| format!("client-{number}")).collect();
    let report = |key| Report { key, rank: b"1", form: 1, bytes: key, origin: b"Riley" };
    let reports: Vec<Report<'_>> = keys.iter().map(|key| report(key.as_bytes())).collect();
    let reports: ReportBatch = reports.iter().collect();
    let first = reader.convert_reports(&reports).unwrap().batch().len();
    assert!((1..256).contains(&first), "{first} of 512 were converted");
    // What was converted is cached, so that a later call gets further.
    let second = reader.convert_reports(&reports).unwrap().batch().len();
    assert!(second > first, "{second} after {first}");
}
