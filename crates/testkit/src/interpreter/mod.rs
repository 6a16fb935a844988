//! A naive OpenFlow switch: what flows do to a packet, by linear search, without caches. It is slow and meant to be read:
//! the oracle that other things which run or make flows are held against, and what the simulator's chassis have.
//!
//! | file | what it holds |
//! |---|---|
//! | `packet` | a packet's fields, registers among them, whatever spelling they are asked for by |
//! | `headers` | headers that come in front of others and go again |
//! | `tables` | flows, and which one a packet meets, conjunctive matches included |
//! | `run` | what actions do |
//! | `conntrack` | a small connection tracker |
//!
//! ```
//! use kiln_openflow::Field;
//! use kiln_testkit::interpreter::{Event, Packet, Switch, Tracker};
//!
//! let mut switch = Switch::default();
//! switch.add(0, 100, "ip,nw_dst=192.0.2.0/24", "set_field:7->reg1,resubmit(,1)");
//! switch.add(1, 1, "reg1=7", "output:3");
//! let mut packet = Packet::default();
//! packet.set(Field::ETH_TYPE, 0x800);
//! packet.set(Field::IPV4_DST, 0xc000_0209);
//! let events = switch.run(packet, &mut Tracker::default());
//! assert!(matches!(&events[..], [Event::Output { port, .. }] if port.0 == 3));
//! ```

mod conntrack;
mod headers;
mod packet;
mod run;
mod tables;

pub use conntrack::Tracker;
pub use packet::Packet;
pub use run::{Continuation, Event, Switch, World};
pub use tables::{Flow, Hits, Tables};
