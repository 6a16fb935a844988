//! Daemons: what the world asks of the real ones.

use kiln_controller::daemon as controller;
use kiln_northd::daemon as northd;
use kiln_ovsdb::reconnect::Action;
use kiln_types::Instant;

/// A daemon without its sockets; its connections have numbers.
pub(crate) trait Daemon {
    /// How many connections it has.
    fn sides(&self) -> u8;
    fn connected(&mut self, now: Instant, side: u8);
    fn disconnected(&mut self, now: Instant, side: u8);
    fn receive(&mut self, now: Instant, side: u8, bytes: &[u8]);
    /// One turn of its loop: what is due, and what follows from all that came.
    fn turn(&mut self, now: Instant, wall_ms: i64);
    fn action(&mut self, now: Instant, side: u8) -> Option<Action>;
    fn transmit(&mut self, side: u8) -> Option<Vec<u8>>;
    fn deadline(&self) -> Option<Instant>;
}

/// The methods have the same names in both daemons.
macro_rules! daemon {
    ($daemon:ty, $sides:expr) => {
        impl Daemon for $daemon {
            fn sides(&self) -> u8 {
                $sides.len() as u8
            }
            fn connected(&mut self, now: Instant, side: u8) {
                self.handle_connected(now, $sides[usize::from(side)]);
            }
            fn disconnected(&mut self, now: Instant, side: u8) {
                self.handle_disconnected(now, $sides[usize::from(side)]);
            }
            fn receive(&mut self, now: Instant, side: u8, bytes: &[u8]) {
                self.handle_bytes(now, $sides[usize::from(side)], bytes);
            }
            fn turn(&mut self, now: Instant, wall_ms: i64) {
                self.handle_timeout(now);
                self.advance(now, wall_ms);
            }
            fn action(&mut self, now: Instant, side: u8) -> Option<Action> {
                self.poll_action(now, $sides[usize::from(side)])
            }
            fn transmit(&mut self, side: u8) -> Option<Vec<u8>> {
                self.poll_transmit($sides[usize::from(side)])
            }
            fn deadline(&self) -> Option<Instant> {
                self.poll_timeout()
            }
        }
    };
}

/// The connections of a northd, by number.
pub(crate) const NORTHD: [northd::Side; 2] = [northd::Side::Northbound, northd::Side::Southbound];
/// The connections of a controller, by number.
pub(crate) const CONTROLLER: [controller::Side; 5] = controller::Side::ALL;

daemon!(northd::NorthdDaemon, NORTHD);
daemon!(controller::ControllerDaemon, CONTROLLER);

/// When a daemon gets its turns, and what it has done; it outlives the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clockwork {
    pub(crate) turn_at: Option<Instant>,
    /// Transactions that it has sent.
    pub(crate) transactions: u64,
}
