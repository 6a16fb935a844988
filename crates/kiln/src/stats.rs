//! The `inc-engine/*` answers of both daemons, in stock's form.

use crate::stock_names;
use kiln_incr::RuleStats;
use std::fmt::Write;

/// What is told of a node.
struct Node {
    name: &'static str,
    counts: [(&'static str, u64); 3],
}

impl Node {
    /// One rule, or all that do what the node stands for: as often as the one of them that ran most often.
    fn new<'a>(name: &'static str, rules: impl Iterator<Item = &'a RuleStats> + Clone) -> Node {
        let most = |count: fn(&RuleStats) -> u64| rules.clone().map(count).max().unwrap_or(0);
        let (recompute, compute) =
            (most(|rule| rule.full_settles), most(|rule| rule.settles - rule.full_settles));
        // Nothing is ever given up in order to be computed in another way.
        Node { name, counts: [("recompute", recompute), ("compute", compute), ("cancel", 0)] }
    }

    fn text(&self) -> String {
        let mut text = format!("Node: {}\n", self.name);
        for (counter, count) in self.counts {
            let _ = writeln!(text, "- {:<11}{count:>12}", format!("{counter}:"));
        }
        text
    }
}

/// `inc-engine/show-stats [NODE [recompute|compute|cancel]]`: stock's `nodes`, then rules of other names. `recompute`
/// counts the settles that ran a rule for all keys, `compute` the others that ran it.
pub(crate) fn show(nodes: &'static str, rules: &[RuleStats], args: &[String]) -> Result<String, String> {
    let mut all: Vec<Node> =
        stock_names::nodes(nodes, rules).map(|(name, rules)| Node::new(name, rules.into_iter())).collect();
    for rule in rules {
        if all.iter().all(|node| node.name != rule.name) {
            all.push(Node::new(rule.name, std::iter::once(rule)));
        }
    }
    let Some(name) = args.first() else {
        return Ok(all.iter().map(Node::text).collect());
    };
    // A node that nobody knows has no answer, and neither it nor a counter that nobody knows is an error: as stock has it.
    let Some(node) = all.iter().find(|node| node.name == name) else { return Ok(String::new()) };
    let Some(counter) = args.get(1) else { return Ok(node.text()) };
    let count = node.counts.iter().find(|(name, _)| name == counter).map(|(_, count)| count.to_string());
    Ok(count.unwrap_or_else(|| format!("Invalid stat type : {counter}")))
}
