//! Faults and changes at random times, each fault mended by itself.

use crate::database::Which;
use crate::world::{Actor, World};
use kiln_types::Rng;
use std::time::Duration;

/// What can fail.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut(Which, Duration),
    Stall(Which, Duration),
    Slow(Which, Duration),
    Kill(Actor, Duration),
    RestartSwitch(usize),
    /// A host forgets its neighbours and says where it is.
    Reboot(usize),
    /// A host moves to another chassis.
    Migrate(usize, usize),
    /// A host's logical port is disabled for a while.
    Disable(usize, Duration),
}

/// How long a database that has become slow stays so.
const SLOWNESS: Duration = Duration::from_secs(10);

/// Puts faults into the schedule for the time to come, and says which.
pub(super) fn plan(world: &mut World, time: Duration, every: Duration) -> Vec<String> {
    let mut rng = world.rng.fork();
    let mut told = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_micros(rng.u64(0..=2 * every.as_micros() as u64));
        if at >= time {
            return told;
        }
        let fault = draw(&mut rng, world.hosts.len(), world.chassis.len());
        told.push(format!("at {:.3} s: {fault:?}", at.as_secs_f64()));
        let when = world.now() + at;
        world.at(when, "fault", move |world| strike(world, fault));
    }
}

fn draw(rng: &mut Rng, n_hosts: usize, n_chassis: usize) -> Fault {
    let ms = |rng: &mut Rng, range: std::ops::Range<u64>| Duration::from_millis(rng.u64(range));
    let central = if rng.bool() { Which::Northbound } else { Which::Southbound };
    let (host, chassis) = (rng.usize(0..n_hosts), rng.usize(0..n_chassis));
    match rng.u8(0..10) {
        0 => Fault::Cut(central, ms(rng, 10..8000)),
        1 => Fault::Cut(Which::Local(chassis), ms(rng, 10..3000)),
        2 => Fault::Stall(central, ms(rng, 10..7000)),
        3 => Fault::Slow(central, ms(rng, 50..400)),
        4 => Fault::Kill(Actor::Northd(rng.usize(0..2)), ms(rng, 0..5000)),
        5 => Fault::Kill(Actor::Controller(chassis), ms(rng, 0..3000)),
        6 => Fault::RestartSwitch(chassis),
        7 => Fault::Reboot(host),
        8 => Fault::Migrate(host, chassis),
        _ => Fault::Disable(host, ms(rng, 10..5000)),
    }
}

fn strike(world: &mut World, fault: Fault) {
    match fault {
        Fault::Cut(which, time) => world.cut(which, time),
        Fault::Stall(which, time) => world.stall(which, time),
        Fault::Slow(which, by) => {
            world.slow(which, by);
            let at = world.now() + SLOWNESS;
            world.at(at, "fast", move |world| world.slow(which, Duration::ZERO));
        }
        Fault::Kill(actor, after) => world.restart(actor, after),
        Fault::RestartSwitch(chassis) => world.restart_switch(chassis),
        Fault::Reboot(host) => {
            world.host_mut(host).forget_neighbors();
            world.announce(host);
        }
        Fault::Migrate(host, chassis) => world.migrate(host, chassis),
        Fault::Disable(host, time) => {
            world.enable(host, false);
            let at = world.now() + time;
            world.at(at, "enable", move |world| world.enable(host, true));
        }
    }
}
