//! A slice of seeds, small enough for every run of the tests; `cargo run --release -p kiln-sim` runs larger ones.

use kiln_sim::report::Report;
use kiln_sim::scenario::Scenario;
use kiln_sim::site::Size;
use kiln_sim::{Link, Links};
use std::time::Duration;

/// Seeds with an even number run with the defaults of the RFCs, the others with stock's; of every four, two track queries.
fn scenario(seed: u64) -> Scenario {
    let defaults = if seed.is_multiple_of(2) { "rfc" } else { "stock" };
    let learning = if seed % 4 < 2 { "tracked" } else { "open" };
    let link = |delay_us| Link { delay_us, loss_per_mille: 20 };
    Scenario {
        seed,
        size: Size { chassis: 3, routers: 3, segments: 1, lan_hosts: 2, neighbors: 6 },
        options: vec![
            ("l3_defaults".to_owned(), defaults.to_owned()),
            ("mac_binding_learning".to_owned(), learning.to_owned()),
        ],
        acquaintances: 2,
        traffic: Duration::from_secs(30),
        talk_every: Duration::from_secs(2),
        fault_every: Some(Duration::from_secs(3)),
        links: Links { underlay: link(50..=20_000), edge: link(10..=50), ..Links::default() },
    }
}

fn holds(seed: u64) -> Report {
    let report = scenario(seed).run();
    assert!(report.violations.is_empty(), "{report}");
    assert!(!report.faults.is_empty() && report.queries > 0 && report.writes > 0, "{report}");
    assert_eq!(report.renumbered, 0, "meters keep their numbers through restarts: {report}");
    report
}

#[test]
fn a_seed_holds_and_reproduces() {
    let first = holds(1);
    assert_eq!(holds(1), first, "the same seed is the same run");
    assert_ne!(holds(2).trace, first.trace, "another seed is another one");
}

#[test]
fn more_seeds_hold() {
    for seed in 3..6 {
        holds(seed);
    }
}
