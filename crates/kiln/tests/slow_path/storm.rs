//! Ten thousand neighbours that answer at once.

use crate::bed::{Bed, NETWORK, claim};
use kiln_testkit::{Component, Database, wait_for};
use std::collections::BTreeSet;

/// How many answer.
const STATIONS: usize = 10_000;
/// How many transactions a second a chassis may make of what it learns.
const TRANSACTIONS_PER_SECOND: usize = 20;

fn ip(n: usize) -> String {
    format!("10.1.{}.{}", n / 250 + 1, n % 250 + 1)
}

fn answer(n: usize) -> String {
    claim(&format!("02:00:00:00:{:02x}:{:02x}", n / 250 + 1, n % 250 + 1), &ip(n))
}

/// When the database's server wrote transactions with neighbours into its log, in milliseconds since 1970, and how many rows each had.
fn transactions(bed: &Bed) -> Vec<(u64, usize)> {
    let log = std::fs::read_to_string(bed.lab.folder().join("sb.db")).expect("the server has a log");
    let records = log.lines().filter(|line| line.contains("\"MAC_Binding\":{"));
    let record = |line: &str| -> Option<(u64, usize)> {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        // The first record is the schema.
        Some((record["_date"].as_u64()?, record["MAC_Binding"].as_object()?.len()))
    };
    records.filter_map(record).collect()
}

/// The most that fall into any one second.
fn most_in_a_second(times_ms: &[u64]) -> usize {
    times_ms
        .iter()
        .map(|from| times_ms.iter().filter(|at| (*from..*from + 1000).contains(at)).count())
        .max()
        .unwrap_or(0)
}

fn rows(bed: &Bed) -> usize {
    bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding").len()
}

#[test]
fn ten_thousand_answers_are_all_written_in_twenty_transactions_a_second() {
    let bed = Bed::start(Component::Kiln, NETWORK, &["p1", "q1"], "");
    wait_for("all rows", || {
        // Who is not known yet answers again, and all of them do so at once.
        let rows = bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
        let known: BTreeSet<&str> = rows.iter().filter_map(|row| row["ip"].as_str()).collect();
        let missing = (0..STATIONS).filter(|n| !known.contains(&*ip(*n)));
        let missing: Vec<String> = missing.map(answer).collect();
        bed.receive("q1", &missing);
        missing.is_empty().then_some(())
    });

    let written = transactions(&bed);
    assert_eq!(written.iter().map(|(_, rows)| rows).sum::<usize>(), STATIONS, "each row was written once");
    let times: Vec<u64> = written.iter().map(|(at, _)| *at).collect();
    let (most, span_ms) = (most_in_a_second(&times), times[times.len() - 1] - times[0]);
    println!(
        "{STATIONS} rows in {} transactions within {span_ms} ms, at most {most} in a second",
        times.len()
    );
    // The server's clock and the controller's may disagree about one.
    assert!(most <= TRANSACTIONS_PER_SECOND + 1, "{most} in a second: {times:?}");
    assert!(times.len() > 1 && times.len() as u64 <= 1 + span_ms / 50, "{} in {span_ms} ms", times.len());
}

/// How many of all answers, sent back to back, the chassis has kept.
fn kept(whose: Component) -> usize {
    let bed = Bed::start(whose, NETWORK, &["p1", "q1"], "");
    let answers: Vec<String> = (0..STATIONS).map(answer).collect();
    bed.receive("q1", &answers);
    // One more, behind all others: once it is written, so are they.
    let last = "10.1.250.250";
    wait_for("the last of them", || {
        bed.receive("q1", &[claim("02:00:00:00:fa:fa", last)]);
        let rows = bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
        rows.iter().any(|row| row["ip"] == last).then_some(())
    });
    rows(&bed) - 1
}

/// What the meter of a port lets through at once. More than that, at 5,000 a second, comes through only as long as the storm lasts:
/// a chassis without such meters may keep more of a short one, at the expense of other ports.
const BURST: usize = 1000;

#[test]
fn of_answers_back_to_back_no_fewer_are_kept_than_by_a_stock_chassis_up_to_what_a_port_may_have() {
    let [stock, kiln] = [Component::Stock, Component::Kiln].map(kept);
    println!("of {STATIONS} back to back, stock kept {stock} and kiln {kiln}");
    assert!(kiln >= stock.min(BURST));
}
