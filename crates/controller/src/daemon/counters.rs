//! What the daemon counts of what comes to it, for `coverage/show`: messages taken, connections and packets dropped, by reason.

use super::ControllerDaemon;
use kiln_responder::{Class, Level};

impl ControllerDaemon {
    /// Every total with the name that it is shown by.
    pub fn counters(&self, visit: &mut dyn FnMut(&str, u64)) {
        for (name, link) in [("sb", &self.southbound), ("local", &self.local)] {
            let stats = link.session().stats();
            stats.visit(&mut |what, total| visit(&format!("ovsdb_{name}_{what}"), total));
        }
        for (name, link) in [("flows", &self.flows), ("packets", &self.packets), ("features", &self.features)]
        {
            let counters = link.session.counters();
            counters.visit(&mut |what, total| visit(&format!("openflow_{name}_{what}"), total));
        }
        self.count_neighbors(visit);
        let budgets = self.responder.budgets();
        for class in Class::ALL {
            let counts = budgets.counts(class);
            visit(&format!("budget_{}_paid", class.name()), counts.paid);
            for level in Level::ALL {
                visit(&format!("budget_{}_over_{}", class.name(), level.name()), counts.refused(level));
            }
        }
        self.meter_drops.visit(visit);
        for (action, event, total) in self.responder.counters().iter() {
            visit(&format!("packet_{}_{event}", plain(action)), total);
        }
    }
}

/// A name without what a counter's may not hold: `icmp4, icmp6` is `icmp4_icmp6`.
fn plain(action: &str) -> String {
    let words = action.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Side;
    use crate::daemon::tests::daemon;
    use kiln_openflow::msg::{Hello, Message, PacketIn, Xid};
    use kiln_openflow::{Match, Version};
    use kiln_types::Instant;
    use std::collections::BTreeMap;

    fn totals(daemon: &ControllerDaemon) -> BTreeMap<String, u64> {
        let mut totals = BTreeMap::new();
        daemon.counters(&mut |name, total| {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{name}");
            assert_eq!(totals.insert(name.to_owned(), total), None, "{name} is counted twice");
        });
        totals
    }

    fn bytes(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(Version::V1_5, Xid(1), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_malformed_is_dropped_and_counted_by_its_reason() {
        let now = Instant::from_secs(1);
        let mut daemon = daemon();

        // a database connection that speaks something else
        assert!(daemon.poll_action(now, Side::Local).is_some());
        daemon.handle_connected(now, Side::Local);
        daemon.handle_bytes(now, Side::Local, b"HTTP/1.1 400 Bad Request\r\n");
        assert_eq!(totals(&daemon)["ovsdb_local_close_malformed"], 1);

        // a switch's message whose length is less than its header's
        let hello = bytes(&Message::Hello(Hello::new(&[Version::V1_5])));
        daemon.flows.session.handle_connected(now);
        daemon.handle_bytes(now, Side::Flows, &[&hello[..], &[6, 0, 0, 7, 0, 0, 0, 0]].concat());
        assert_eq!(totals(&daemon)["openflow_flows_drop_framing"], 1);

        // a truncated packet that a logical action wants an ICMP error about
        daemon.packets.session.handle_connected(now);
        daemon.handle_bytes(now, Side::Packets, &hello);
        let packet_in = PacketIn {
            packet: [0; 13].into(),
            reason: PacketIn::REASON_ACTION,
            metadata: Match::any(),
            userdata: [0, 0, 0, 10, 0, 0, 0, 0].into(),
            ..PacketIn::default()
        };
        daemon.handle_bytes(now, Side::Packets, &bytes(&Message::PacketIn(Box::new(packet_in))));
        daemon.advance(now, 0);
        let totals = totals(&daemon);
        assert_eq!(totals["budget_unreachable_paid"] + totals["budget_error_paid"], 1);
        assert_eq!(totals["packet_icmp4_icmp6_received"], 1);
        assert_eq!(totals["packet_icmp4_icmp6_drop_not_ip"], 1);
    }
}
