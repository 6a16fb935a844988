//! What `ovn-appctl -t ovn-controller` asks (ovn-controller(8), Runtime Management Commands).

use super::{ControllerDaemon, dump, inject, meter_drops};
use kiln_types::Instant;
use std::fmt::Write as _;
use std::time::Duration;
use tracing::info;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for people.
    pub usage: &'static str,
    /// How few arguments it takes.
    pub min_args: usize,
    /// How many arguments it takes.
    pub max_args: usize,
}

const fn command(name: &'static str, usage: &'static str, min_args: usize, max_args: usize) -> CommandSpec {
    CommandSpec { name, usage, min_args, max_args }
}

/// Every command beside those that all daemons have.
pub const COMMANDS: &[CommandSpec] = &[
    command("budget/show", "", 0, 0),
    command("connection-status", "", 0, 0),
    command("ct-zone-list", "", 0, 0),
    command("debug/delay-nb-cfg-report", "SECONDS", 1, 1),
    command("debug/dump-local-bindings", "", 0, 0),
    command("debug/dump-local-datapaths", "", 0, 0),
    command("debug/dump-lflow-conj-ids", "", 0, 0),
    command("debug/dump-local-template-vars", "", 0, 0),
    command("debug/dump-mac-bindings", "", 0, 0),
    command("debug/dump-peer-ports", "", 0, 0),
    command("debug/dump-related-ports", "", 0, 0),
    command("debug/pause", "", 0, 0),
    command("debug/resume", "", 0, 0),
    command("debug/status", "", 0, 0),
    command("group-table-list", "", 0, 0),
    command("flush-lflow-cache", "", 0, 0),
    command("inc-engine/clear-stats", "", 0, 0),
    command("inc-engine/recompute", "", 0, 0),
    command("inject-pkt", "MICROFLOW", 1, 1),
    command("lflow-cache/flush", "", 0, 0),
    command("lflow-cache/show-stats", "", 0, 0),
    command("mac-binding/show", "", 0, 0),
    command("meter-table-list", "", 0, 0),
    command("packet-drops/show", "", 0, 0),
    command("recompute", "", 0, 0),
    command("sb-cluster-state-reset", "", 0, 0),
];

impl ControllerDaemon {
    /// Whether the southbound database is connected.
    pub fn is_connected(&self) -> bool {
        self.southbound.is_connected()
    }

    /// Answers a command: text, or the text of an error.
    pub fn command(&mut self, now: Instant, name: &str, args: &[String]) -> Result<String, String> {
        let mut out = String::new();
        match name {
            "connection-status" => {
                out.push_str(if self.is_connected() { "connected" } else { "not connected" });
            }
            "ct-zone-list" => self.list_zones(&mut out),
            "group-table-list" => {
                for (id, name, _) in self.compiler.desired().groups.iter() {
                    let _ = writeln!(out, "{name}: {id}");
                }
            }
            "meter-table-list" => {
                let meters = self.compiler.desired().meters.iter();
                // Those ahead of the controller are Kiln's own.
                for (id, name, _) in meters.filter(|(_, name, _)| meter_drops::class(name).is_none()) {
                    let _ = writeln!(out, "{name}: {id}");
                }
            }
            "budget/show" => out = self.show_budgets(),
            "packet-drops/show" => out = self.show_drops(),
            "recompute" | "inc-engine/recompute" => {
                self.compiler.recompute();
                self.stale = true;
            }
            "inc-engine/clear-stats" => self.compiler.clear_stats(),
            "sb-cluster-state-reset" => self.southbound.start_over(now),
            "lflow-cache/flush" | "flush-lflow-cache" => {
                self.compiler.recompute();
                self.stale = true;
                self.lflow_watermark = 0;
            }
            "mac-binding/show" => self.show_neighbors(&mut out),
            "lflow-cache/show-stats" => self.show_cache(&mut out),
            "inject-pkt" => {
                let message = inject::packet_out(self.compiler.db(), &args[0])?;
                self.packets.session.send(&message).map_err(|error| error.to_string())?;
            }
            "debug/pause" => {
                info!(target: "main", "User triggered execution pause.");
                self.paused = true;
            }
            "debug/resume" => {
                info!(target: "main", "User triggered execution resume.");
                self.paused = false;
                self.stale = true;
            }
            "debug/status" => out.push_str(if self.paused { "paused" } else { "running" }),
            "debug/delay-nb-cfg-report" => {
                let seconds = args[0].parse::<u32>().map_err(|_| "unsigned integer required".to_owned())?;
                self.nb_cfg_delay = Duration::from_secs(seconds.into());
                out = match seconds {
                    0 => "no delay for nb_cfg report.".to_owned(),
                    _ => format!("delay nb_cfg report for {seconds} seconds."),
                };
            }
            "debug/dump-lflow-conj-ids" => out.push_str(&dump::conjunctions(self.compiler.db())),
            _ => {
                let answer = dump::dump(self.compiler.db(), name);
                return answer.ok_or_else(|| format!("\"{name}\" is not served"));
            }
        }
        Ok(out)
    }

    fn list_zones(&self, out: &mut String) {
        let zones = self.compiler.zones();
        for (name, zone) in zones {
            let _ = writeln!(out, "{name} {zone}");
        }
    }

    /// Flows that rules keep as what they were lowered to, in the words of stock's cache.
    fn show_cache(&mut self, out: &mut String) {
        let db = self.compiler.db();
        let wanted = db.settings.peek(&()).is_none_or(|settings| settings.lflow_cache);
        let total = if wanted { db.sites.iter().count() } else { 0 };
        self.lflow_watermark = self.lflow_watermark.max(total);
        let _ = write!(
            out,
            "Enabled: {wanted}\nhigh-watermark  : {}\ntotal           : {total}\ncache-expr      : 0\n\
             cache-matches   : {total}\ntrim count      : 0\nMem usage (KB)  : {}\n",
            self.lflow_watermark,
            total * std::mem::size_of::<(crate::logical_flow::Site, crate::desired::DesiredFlow)>() / 1024,
        );
    }
}
