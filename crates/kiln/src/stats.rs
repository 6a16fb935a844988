//! The `inc-engine/*` answers of both daemons, in stock's form.

use std::fmt::Write;

/// How often one rule ran.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) ran: u64,
    pub(crate) settles: u64,
}

/// `inc-engine/show-stats [NODE [recompute|compute|cancel]]`. Nothing is ever computed in another way or given up, so
/// `recompute` counts the rule's first run for all keys, `compute` the settles it ran in, `cancel` nothing.
pub(crate) fn show(nodes: &[Node], args: &[String]) -> Result<String, String> {
    let counters = |node: &Node| {
        let recompute = u64::from(node.ran > 0 && node.settles > 0);
        [("recompute", recompute), ("compute", node.settles.saturating_sub(recompute)), ("cancel", 0)]
    };
    let Some(name) = args.first() else {
        let mut text = String::new();
        for node in nodes {
            let _ = writeln!(text, "Node: {}", node.name);
            for (counter, count) in counters(node) {
                let _ = writeln!(text, "- {:<11}{count:>12}", format!("{counter}:"));
            }
        }
        return Ok(text);
    };
    // A node that nobody knows has no answer, and neither it nor a counter that nobody knows is an error: as stock has it.
    let Some(node) = nodes.iter().find(|node| node.name == name) else { return Ok(String::new()) };
    let Some(counter) = args.get(1) else {
        let node = Node { name: node.name, ran: node.ran, settles: node.settles };
        return show(&[node], &[]);
    };
    let count = counters(node).iter().find(|(name, _)| name == counter).map(|(_, count)| count.to_string());
    Ok(count.unwrap_or_else(|| format!("Invalid stat type : {counter}")))
}
