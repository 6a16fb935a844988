//! What stock passes beside what Kiln passes.

use crate::compare;
use crate::judge::Outcome;
use crate::masks::{MASKS, Mask};
use crate::script::Case;
use kiln_sandbox::{Component, Peers};
use kiln_testkit::figures::Figures;
use std::fmt::Write;
use std::path::PathBuf;

/// A case in both systems.
pub struct Row {
    name: String,
    stock: Option<String>,
    kiln: Option<String>,
    /// How their packets differ, if both pass.
    difference: Option<String>,
    /// The masks that stock needs.
    masks: Vec<String>,
    /// How many packets were compared.
    packets: usize,
    seconds: [f64; 2],
}

impl Row {
    pub fn of(case: &Case, stock: &Outcome, kiln: &Outcome) -> Row {
        let both = stock.fault.is_none() && kiln.fault.is_none();
        Row {
            name: case.name.clone(),
            stock: stock.fault.clone(),
            kiln: kiln.fault.clone(),
            difference: both.then(|| compare::difference(case, &stock.seen, &kiln.seen)).flatten(),
            masks: case.masks.clone(),
            packets: if both { kiln.seen.iter().map(Vec::len).sum() } else { 0 },
            seconds: [stock, kiln].map(|outcome| outcome.took.as_secs_f64()),
        }
    }

    /// Whether Kiln passes, with stock's packets if stock does.
    pub fn holds(&self) -> bool {
        self.kiln.is_none() && self.difference.is_none()
    }
}

/// Prints the table, and leaves it and the figures for the end of `./test`.
pub fn leave(group: &str, rows: &[Row]) {
    let mut table = String::new();
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let word = |fault: &Option<String>| if fault.is_none() { "passes" } else { "FAILS" };
    for row in rows {
        let mut notes = Vec::new();
        if row.stock.is_none() && !row.masks.is_empty() {
            notes.push(format!("stock but for: {}", row.masks.join(", ")));
        }
        if row.difference.is_some() {
            notes.push("PACKETS DIFFER".to_owned());
        }
        let _ = writeln!(
            table,
            "{:<width$}  stock {:<6} {:>4.1} s  kiln {:<6} {:>4.1} s  {}",
            row.name,
            word(&row.stock),
            row.seconds[0],
            word(&row.kiln),
            row.seconds[1],
            notes.join("; "),
        );
    }
    let named = |mask: &&Mask| {
        rows.iter().any(|row| row.stock.is_none() && row.masks.iter().any(|name| name == mask.name))
    };
    for mask in MASKS.iter().filter(named) {
        let _ = writeln!(table, "{}: {}", mask.name, mask.reason);
    }
    let passes = |of: fn(&Row) -> bool| rows.iter().filter(|row| of(row)).count();
    let stock = passes(|row| row.stock.is_none());
    let kiln = passes(|row| row.kiln.is_none());
    let _ = writeln!(table, "{group}: of {} cases stock passes {stock}, kiln {kiln}", rows.len());
    println!("{table}");
    for row in rows {
        for (who, fault) in [("stock", &row.stock), ("KILN", &row.kiln), ("BOTH", &row.difference)] {
            if let Some(fault) = fault {
                println!("{who}: {}: {fault}\n", row.name);
            }
        }
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compared");
    std::fs::create_dir_all(&folder).expect("the build's folder is writable");
    std::fs::write(folder.join(format!("l3-{group}.txt")), &table).expect("the build's folder is writable");
    let peers = Peers::from_env();
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), &format!("l3-{group}"));
    for program in ["ovn-northd", "ovn-controller", "ovs-vswitchd"] {
        let version = peers.version(Component::Stock, program).expect("it ran");
        figures.peer(program, &version).packets += rows.iter().map(|row| row.packets).sum::<usize>();
    }
}
