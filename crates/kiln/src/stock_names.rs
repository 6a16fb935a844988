//! Names of stock's that scripts put to the daemons: versions, modules of the log, counters, nodes of the incremental
//! engine. The lists are what stock's daemons of the release showed; what Kiln has behind a name is told with its value.

use kiln_incr::RuleStats;
use std::collections::BTreeMap;

/// What stands behind a daemon's name in `version` and `--version`: the release that it stands in for, then whose it is, and the
/// library that this release is built with.
pub(crate) const VERSION: &str =
    concat!("26.03.1 (Kiln ", env!("CARGO_PKG_VERSION"), ")\nOpen vSwitch Library 3.7.1");

/// What `vlog/list` of stock's `ovn-northd` has. Kiln logs under some of these; the others stay silent.
pub(crate) const NORTHD_MODULES: &str =
    concat!(include_str!("stock_names/modules.txt"), include_str!("stock_names/modules-northd.txt"));
/// The same of `ovn-controller`.
pub(crate) const CONTROLLER_MODULES: &str =
    concat!(include_str!("stock_names/modules.txt"), include_str!("stock_names/modules-controller.txt"));

/// The counters of stock's `ovn-northd`: words.
pub(crate) const NORTHD_COUNTERS: &str =
    concat!(include_str!("stock_names/counters.txt"), include_str!("stock_names/counters-northd.txt"));
/// The same of `ovn-controller`.
pub(crate) const CONTROLLER_COUNTERS: &str =
    concat!(include_str!("stock_names/counters.txt"), include_str!("stock_names/counters-controller.txt"));

/// The nodes of stock's `ovn-northd`, one a line: the name, then the rules of Kiln's that do that work. A rule that ends
/// with `/` stands for all whose names begin so.
pub(crate) const NORTHD_NODES: &str = include_str!("stock_names/nodes-northd.txt");
/// The same of `ovn-controller`.
pub(crate) const CONTROLLER_NODES: &str = include_str!("stock_names/nodes-controller.txt");

/// Stock's counters that are sums of Kiln's: of those that begin and end so.
const SUMS: &[(&str, &str, &str)] = &[
    ("txn_success", "ovsdb_", "_txn_committed"),
    ("txn_error", "ovsdb_", "_txn_failed"),
    ("txn_try_again", "ovsdb_", "_txn_lost"),
    ("vconn_received", "openflow_", "_received"),
    ("vconn_sent", "openflow_", "_sent"),
    ("rconn_sent", "openflow_", "_sent"),
    ("pinctrl_total_pin_pkts", "packet_", "_received"),
];

/// Shows `own` counters and all of `stock`'s: those that are sums of own ones, those that `known` has, and zero for what
/// never happens here.
pub(crate) fn counters(
    stock: &'static str,
    known: &[(&str, u64)],
    own: impl FnOnce(&mut dyn FnMut(&str, u64)),
    visit: &mut dyn FnMut(&str, u64),
) {
    let mut totals: BTreeMap<&str, u64> = stock.split_whitespace().map(|name| (name, 0)).collect();
    own(&mut |name, total| {
        for (sum, begin, end) in SUMS {
            if name.starts_with(begin)
                && name.ends_with(end)
                && let Some(sum) = totals.get_mut(sum)
            {
                *sum += total;
            }
        }
        visit(name, total);
    });
    totals.extend(known.iter().copied());
    // What the process counts itself under the same name it shows itself.
    let counted_elsewhere = |name: &str| kiln_runtime::coverage::SHELL.iter().any(|own| own.name() == name);
    for (name, total) in totals.into_iter().filter(|(name, _)| !counted_elsewhere(name)) {
        visit(name, total);
    }
}

/// The rules behind a node of `nodes`, for each node in their order.
pub(crate) fn nodes<'a>(
    nodes: &'static str,
    rules: &'a [RuleStats],
) -> impl Iterator<Item = (&'static str, Vec<&'a RuleStats>)> {
    nodes.lines().filter_map(|line| line.split_once(':')).map(|(node, patterns)| {
        let patterns: Vec<&str> = patterns.split_whitespace().collect();
        let does = |rule: &&RuleStats| {
            let is = |pattern: &&str| {
                pattern.strip_suffix('/').map_or(rule.name == *pattern, |begin| {
                    begin.is_empty() || rule.name.starts_with(*pattern)
                })
            };
            patterns.iter().any(is)
        };
        (node, rules.iter().filter(does).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_controller::daemon::{Config as ControllerConfig, ControllerDaemon};

    /// Every rule that a node names exists.
    #[test]
    fn nodes_name_rules() {
        let northd = kiln_northd::Compiler::new(1).stats();
        let controller = ControllerDaemon::new(ControllerConfig {
            local: "unix:/db".parse().expect("a remote"),
            switch_run_dir: String::new(),
            chassis_name: None,
            hostname: "h".into(),
            seed: 1,
        });
        for (list, rules) in [(NORTHD_NODES, northd), (CONTROLLER_NODES, controller.compiler().stats())] {
            for line in list.lines() {
                let (_, patterns) = line.split_once(':').expect("a colon");
                for pattern in patterns.split_whitespace() {
                    let is = |rule: &RuleStats| {
                        pattern == "/"
                            || rule.name == pattern
                            || pattern.ends_with('/') && rule.name.starts_with(pattern)
                    };
                    assert!(rules.iter().any(is), "{line}: {pattern}");
                }
            }
        }
    }

    #[test]
    fn sums_are_of_what_was_counted() {
        let mut seen = BTreeMap::new();
        let own = |visit: &mut dyn FnMut(&str, u64)| {
            visit("ovsdb_nb_txn_committed", 2);
            visit("ovsdb_sb_txn_committed", 3);
            visit("ovsdb_sb_rows", 9);
        };
        counters(NORTHD_COUNTERS, &[("northd_run", 4)], own, &mut |name, total| {
            assert_eq!(seen.insert(name.to_owned(), total), None, "{name} is shown twice");
        });
        let all = ["txn_success", "northd_run", "netlink_sent", "ovsdb_sb_rows"].map(|name| seen[name]);
        assert_eq!(all, [5, 4, 0, 9]);
        assert!(!seen.contains_key("unixctl_received"), "the process counts these");
    }
}
