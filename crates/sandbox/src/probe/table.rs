//! The table.

use super::Row;
use kiln_topology::Expect;
use std::fmt;

/// Probes and what came of them, a line each.
#[derive(Clone, Copy, Debug)]
pub struct Table<'r>(pub &'r [Row]);

const HEAD: [&str; 6] = ["from", "probe", "to", "sent", "came back", "verdict"];

impl Table<'_> {
    /// Whether every probe holds.
    pub fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
        lines.extend(self.0.iter().map(cells));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for line in &lines {
            let padded: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", padded.join("  ").trim_end())?;
        }
        let failed = self.0.iter().filter(|row| !row.holds).count();
        match failed {
            0 => write!(f, "all {} probes hold", self.0.len()),
            _ => write!(f, "{failed} of {} probes failed", self.0.len()),
        }
    }
}

fn cells(row: &Row) -> [String; 6] {
    let to =
        if row.name.is_empty() { row.address.to_string() } else { format!("{} {}", row.name, row.address) };
    let expected = match row.expected {
        Expect::Ok => "",
        Expect::Unreachable => " (unreachable expected)",
        Expect::Error => " (an error expected)",
    };
    let verdict = format!("{}{expected}", if row.holds { "ok" } else { "FAILED" });
    [row.from.clone(), row.probe.to_owned(), to, row.sent.clone(), row.came_back.clone(), verdict]
}
