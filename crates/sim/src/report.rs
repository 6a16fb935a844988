//! What came of a run, for a person to read.

use std::fmt;
use std::time::Duration;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How long the world was there.
    pub virtual_time: Duration,
    /// How long hosts sent packets while things failed.
    pub traffic: Duration,
    /// What failed, in order.
    pub faults: Vec<String>,
    /// Rows of MAC_Binding in the end.
    pub bindings: usize,
    /// Transactions that controllers sent while there was traffic.
    pub writes: u64,
    /// Questions for neighbours that controllers sent while there was traffic.
    pub queries: u64,
    /// Packets that went to controllers.
    pub packet_ins: u64,
    /// Flows that were changed to name another meter that does just the same.
    pub renumbered: u64,
    /// Pairs of a host and an address that were to be reached in the end.
    pub pairs: usize,
    /// What does not hold that should.
    pub violations: Vec<String>,
    /// The trace's hash, and the events in it.
    pub trace: (u64, u64),
}

impl Report {
    fn a_minute(&self, count: u64) -> f64 {
        count as f64 * 60.0 / self.traffic.as_secs_f64().max(1.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(
            f,
            "virtual time        {:.1} s, of it {:.1} s with traffic",
            self.virtual_time.as_secs_f64(),
            self.traffic.as_secs_f64()
        )?;
        writeln!(f, "pairs to be reached {}", self.pairs)?;
        writeln!(f, "MAC_Binding rows    {}", self.bindings)?;
        writeln!(f, "writes a minute     {:.1}, {} in all", self.a_minute(self.writes), self.writes)?;
        writeln!(f, "probes a minute     {:.1}, {} in all", self.a_minute(self.queries), self.queries)?;
        writeln!(f, "packets handed up   {}", self.packet_ins)?;
        writeln!(f, "flows renumbered    {}", self.renumbered)?;
        for violation in &self.violations {
            writeln!(f, "VIOLATED: {violation}")?;
        }
        writeln!(f, "trace               {:016x}, {} events", self.trace.0, self.trace.1)
    }
}
