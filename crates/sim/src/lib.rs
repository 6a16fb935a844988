//! The whole system in one process on virtual time: the real `kiln_northd` and `kiln_controller` daemons with their
//! responders, the in-memory engine and server of `kiln_ovsdb` for every database, `testkit`'s naive OpenFlow interpreter as
//! switches, an underlay that carries Geneve's metadata, and hosts that do what Linux does.
//!
//! ```text
//!   northd ── stream ── NB, SB ── stream ── controller ── stream ── switch ── frames ── hosts
//!                                               |                     |
//!                                          Open_vSwitch           underlay ── other switches
//! ```
//!
//! Nothing here waits: one queue of events is the clock, and everything that is chosen by chance (delays, losses, what
//! fails when) is drawn from one seed. So a failure is a seed, and a seed is a run: the same one gives the same trace.
//!
//! | file | what it holds |
//! |---|---|
//! | `world` | what there is, and the loop in which everything happens |
//! | `schedule`, `trace` | the queue of events; the hash over them |
//! | `network`, `stream` | links with faults; byte streams between daemons and servers |
//! | `database`, `daemon`, `chassis`, `switch`, `host`, `frame` | the parts |
//! | `fault` | what goes wrong, and is mended again |
//! | `check` | what must hold |
//! | `site`, `scenario`, `report` | networks, what happens to them, and what came of it |
#![forbid(unsafe_code)]

mod chassis;
pub mod check;
mod daemon;
mod database;
mod fault;
mod frame;
mod host;
mod network;
pub mod report;
pub mod scenario;
mod schedule;
pub mod site;
mod stream;
mod switch;
mod trace;
mod world;

pub use database::Which;
pub use host::{Echo, Host};
pub use network::{Link, Links};
pub use switch::Counters;
pub use world::{Actor, World};
