//! The table of results.

use super::Measured;
use crate::network::Change;
use std::time::Duration;

/// What Kiln is to reach: processor time of the cold compile, and memory, as a fraction of stock's; and the processor time
/// of a change.
const COMPILE_RATIO: f64 = 10.0;
const MEMORY_RATIO: f64 = 3.0;
const CHANGE: Duration = Duration::from_millis(2);

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn line(what: &str, unit: &str, stock: f64, kiln: f64, target: &str) {
    say!("{what:<56} {unit:<3} {stock:>9.2} {kiln:>9.2} {:>8.1}  {target}", stock / kiln);
}

fn verdict(target: &str, met: bool, all: &mut bool) -> String {
    *all &= met;
    format!("{target}: {}", if met { "met" } else { "missed" })
}

/// Prints both daemons' figures; whether the targets are met.
pub(crate) fn print(title: &str, stock: &Measured, kiln: &Measured) -> bool {
    let mut met = true;
    say!("\n{title}");
    say!("rows of Logical_Flow: {} by stock, {} by Kiln", stock.flows, kiln.flows);
    say!("{:<60} {:>9} {:>9} {:>8}", "", "stock", "kiln", "ratio");
    let (s, k) = (stock.compile.northd.as_secs_f64(), kiln.compile.northd.as_secs_f64());
    line(
        "cold compile, northd's processor time",
        "s",
        s,
        k,
        &verdict("at least 10", s / k >= COMPILE_RATIO, &mut met),
    );
    let (s, k) = (stock.peak_kb as f64 / 1024.0, kiln.peak_kb as f64 / 1024.0);
    line(
        "cold compile, northd's peak memory",
        "MiB",
        s,
        k,
        &verdict("at least 3", s / k >= MEMORY_RATIO, &mut met),
    );
    let pairs = [
        ("cold compile, from start to sb_cfg", stock.compile.wall, kiln.compile.wall),
        ("  share of the northbound server", stock.compile.northbound, kiln.compile.northbound),
        ("  share of the southbound server", stock.compile.southbound, kiln.compile.southbound),
    ];
    for (what, stock, kiln) in pairs {
        line(what, "s", stock.as_secs_f64(), kiln.as_secs_f64(), "");
    }
    for (change, (stock, kiln)) in Change::ALL.into_iter().zip(stock.changes.iter().zip(&kiln.changes)) {
        let target = verdict("at most 2 ms", kiln.northd <= CHANGE, &mut met);
        line(
            &format!("{}, northd's processor time", change.name()),
            "ms",
            ms(stock.northd),
            ms(kiln.northd),
            &target,
        );
        line("  from sending it to sb_cfg", "ms", ms(stock.wall), ms(kiln.wall), "");
        let servers = |spent: &super::Spent| ms(spent.northbound + spent.southbound);
        line("  share of the servers", "ms", servers(stock), servers(kiln), "");
    }
    met
}
