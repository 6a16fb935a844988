//! A port that moves from one chassis to another: what each step of it makes of the databases and of the switch, beside stock.

mod deployed;

use deployed::Deployment;
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Daemon, openflow, settled, southbound, wait_for};
use std::collections::BTreeSet;

const NETWORK: &str = "
    ls-add s
    set Logical_Switch s other_config:ct-zone-limit=50
    lsp-add s p
    lsp-set-addresses p \"0a:00:00:00:00:01 10.0.0.1\"
    lsp-set-options p requested-chassis=hv2,hv1 activation-strategy=rarp
";

/// A reverse request for an address (RFC 903), as a hypervisor sends it for a machine that runs.
const RARP: &str = "ffffffffffff0a00000000018035\
    00010800060400030a0000000001000000000a000000000100000000\
    000000000000000000000000000000000000";

/// What the databases say of the port, and the flows that block it.
#[derive(Debug, PartialEq)]
struct Seen {
    binding: BTreeSet<String>,
    interface: BTreeSet<String>,
    limits: BTreeSet<String>,
    blocking: usize,
}

fn see(on: &Deployment) -> Seen {
    let mut binding = southbound::read(&on.lab, &on.south).rows;
    binding.retain(|line| line.starts_with("Port_Binding ") && line.contains("0a:00:00:00:00:01"));
    let local = |table, columns: &[&str]| {
        southbound::lines(&on.lab, &on.chassis.server, kiln_testkit::Database::Switch, table, columns)
    };
    let flows = openflow::read(&on.lab, &on.chassis).flows;
    let blocks = |flow: &&String| flow.contains("priority=1000") || flow.contains("priority=1010");
    let tables = |flow: &&String| flow.contains("table=0 ") || flow.contains("table=65 ");
    Seen {
        binding,
        interface: local("Interface", &["name", "external_ids"]),
        limits: local("CT_Zone", &["limit"]),
        blocking: flows.iter().filter(blocks).filter(tables).count(),
    }
}

/// Both become the same, and `holds` is true of it.
#[track_caller]
fn same(both: &[Deployment; 2], what: &str, holds: impl Fn(&Seen) -> bool) -> usize {
    same_but(both, what, |seen| seen, holds)
}

/// The same of what `form` leaves.
#[track_caller]
fn same_but(
    both: &[Deployment; 2],
    what: &str,
    form: impl Fn(Seen) -> Seen,
    holds: impl Fn(&Seen) -> bool,
) -> usize {
    let look = || both.each_ref().map(|on| form(see(on)));
    let [stock, kiln] = settled(look, |stock, kiln| stock == kiln && holds(stock));
    assert_eq!(kiln, stock, "{what}");
    assert!(holds(&kiln), "{what}: {kiln:#?}");
    kiln.binding.len() + kiln.interface.len() + kiln.limits.len()
}

/// Without `up`: stock says that the port is down when one of several chassis loses it.
fn without_up(mut seen: Seen) -> Seen {
    let without = |line: String| line.replace(" up=true", "").replace(" up=false", "");
    seen.binding = seen.binding.into_iter().map(without).collect();
    seen
}

fn says(seen: &Seen, text: &str) -> bool {
    seen.binding.iter().any(|line| line.contains(text))
}

#[test]
fn a_port_moves() {
    let both = Deployment::both(NETWORK, &[], &[]);
    let each = |what: &dyn Fn(&Deployment)| both.iter().for_each(what);
    each(&|on| {
        on.lab.ctl("ovn-sbctl", &on.south, "chassis-add hv2 geneve 127.0.0.2");
        on.lab.ctl("ovn-sbctl", &on.south, "lsp-bind p hv2");
        on.lab.plug(&on.chassis, "p");
    });
    let mut rows = same(&both, "it is blocked beside its main chassis", |seen| {
        seen.blocking == 3 && says(seen, " additional_chassis=") && !says(seen, "activated")
    });

    each(&|on| {
        let switch = Daemon { name: "c-switch".into(), whose: Component::Stock };
        on.lab.ask(&switch, &format!("netdev-dummy/receive p {RARP}"));
    });
    rows +=
        same(&both, "it shows life", |seen| seen.blocking == 0 && says(seen, "additional-chassis-activated"));

    each(&|on| drop(on.lab.ctl("ovn-nbctl", &on.north, "lsp-set-options p requested-chassis=hv1")));
    rows += same(&both, "it has come", |seen| !says(seen, "activated") && seen.limits.len() > 1);

    each(&|on| {
        let options = "lsp-set-options p requested-chassis=hv2,hv1 activation-strategy=rarp ct-zone-limit=7";
        on.lab.ctl("ovn-nbctl", &on.north, options);
        wait_for("the old main chassis to let it go", || {
            let chassis = on.lab.ctl("ovn-sbctl", &on.south, "--bare get Port_Binding p chassis");
            (chassis.trim() == "[]").then_some(())
        });
        on.lab.ctl("ovn-sbctl", &on.south, "lsp-bind p hv2");
    });
    rows += same(&both, "it goes, and would have to show life again", |seen| seen.blocking == 3);

    each(&|on| {
        drop(on.lab.ctl("ovn-nbctl", &on.north, "remove Logical_Switch s other_config ct-zone-limit"));
    });
    rows += same(&both, "one limit is left", |seen| seen.limits.len() == 1);

    each(&|on| drop(on.lab.ctl("ovs-vsctl", &on.chassis.server, "del-port p")));
    rows += same_but(&both, "it has gone", without_up, |seen| {
        seen.limits.is_empty() && !says(seen, " additional_chassis=")
    });

    let version = both[0].lab.version(Component::Stock, "ovn-controller");
    Figures::new(env!("CARGO_TARGET_TMPDIR"), "several_chassis").peer("ovn-controller", &version).rows +=
        rows;
}

#[test]
fn an_additional_chassis_says_by_which_address() {
    let both = Deployment::both(NETWORK, &[], &[]);
    for on in &both {
        on.lab.ctl("ovn-sbctl", &on.south, "chassis-add hv2 geneve 127.0.0.2");
        on.lab.ctl("ovn-sbctl", &on.south, "lsp-bind p hv2");
        on.lab.plug(&on.chassis, "p");
        let lines = "set Open_vSwitch . external_ids:ovn-encap-ip=127.0.0.1,127.0.0.9
                     set Interface p external_ids:encap-ip=127.0.0.9";
        on.lab.ctl_lines("ovs-vsctl", &on.chassis.server, lines);
    }
    let rows = same(&both, "its address is told", |seen| {
        says(seen, " additional_encap=") && seen.binding.iter().any(|line| line.contains("127.0.0.9"))
    });
    let version = both[0].lab.version(Component::Stock, "ovn-controller");
    Figures::new(env!("CARGO_TARGET_TMPDIR"), "additional_encap").peer("ovn-controller", &version).rows +=
        rows;
}
