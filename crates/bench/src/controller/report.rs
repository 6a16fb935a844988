//! The table of results.

use super::Measured;
use std::time::Duration;

/// What Kiln is to reach: logical flows in a second of processor time, against stock's; and the processor time of a member.
const SPEED_RATIO: f64 = 5.0;
const MEMBER: Duration = Duration::from_millis(1);

fn line(what: &str, unit: &str, stock: f64, kiln: f64, ratio: f64, target: &str) {
    say!("{what:<56} {unit:<4} {stock:>9.2} {kiln:>9.2} {ratio:>8.1}  {target}");
}

fn verdict(target: &str, met: bool) -> String {
    format!("{target}: {}", if met { "met" } else { "missed" })
}

/// Prints both controllers' figures; whether the targets are met.
pub(super) fn print(title: &str, flows: u64, stock: &Measured, kiln: &Measured) -> bool {
    say!("\n{title}");
    say!(
        "rows of Logical_Flow: {flows}; flows installed: {} by stock, {} by Kiln",
        stock.installed,
        kiln.installed
    );
    say!("{:<61} {:>9} {:>9} {:>8}", "", "stock", "kiln", "ratio");
    let (s, k) = (stock.compile.as_secs_f64(), kiln.compile.as_secs_f64());
    line("cold compile, the controller's processor time", "s", s, k, s / k, "");
    let (per_s, per_k) = (flows as f64 / s / 1e3, flows as f64 / k / 1e3);
    let fast = per_k / per_s >= SPEED_RATIO;
    line(
        "cold compile, thousands of logical flows a second of it",
        "/ms",
        per_s,
        per_k,
        per_k / per_s,
        &verdict("at least 5", fast),
    );
    let (s, k) = (stock.peak_kb as f64 / 1024.0, kiln.peak_kb as f64 / 1024.0);
    line("cold compile, the controller's peak memory", "MiB", s, k, s / k, "");
    let (s, k) = (stock.member.as_secs_f64() * 1e3, kiln.member.as_secs_f64() * 1e3);
    let soon = kiln.member <= MEMBER;
    line("a member, the controller's processor time", "ms", s, k, s / k, &verdict("at most 1 ms", soon));
    line("  flows that it made", "", stock.of_member, kiln.of_member, stock.of_member / kiln.of_member, "");
    fast && soon
}
