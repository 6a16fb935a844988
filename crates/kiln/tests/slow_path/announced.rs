//! When addresses are announced on a physical network: at the times at which a stock chassis does.

use crate::bed::{Bed, Frame};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, wait_for};

/// A gateway router and a port, both on a switch that a physical network is plugged into.
const EDGE: &str = "
    lr-add gw
    set Logical_Router gw options:chassis=hv1
    lrp-add gw gw-ext 0e:00:00:00:02:01 192.168.0.1/24 fd02::1/64
    ls-add ext
    lsp-add-router-port ext ext-gw gw-ext
    set Logical_Switch_Port ext-gw options:nat-addresses=router
    lsp-add ext ln
    lsp-set-type ln localnet
    lsp-set-addresses ln unknown
    lsp-set-options ln network_name=phys
    lsp-add ext e1
    lsp-set-addresses e1 '0a:00:00:00:02:11 192.168.0.11 fd02::11'
";

/// The addresses of the router and of the port, in hexadecimal digits.
const V4: [&str; 2] = ["c0a80001", "c0a8000b"];
const V6: [&str; 2] = ["fd020000000000000000000000000001", "fd020000000000000000000000000011"];

/// Whether a frame is a gratuitous ARP request about an address, or an advertisement of it to all nodes.
fn announces(frame: &Frame, ip: &str) -> bool {
    if ip.len() == 8 {
        return frame.is_arp(1) && frame.hex(28, 4) == ip && frame.hex(38, 4) == ip;
    }
    frame.hex(0, 6) == "333300000001" && frame.hex(54, 1) == "88" && frame.hex(62, 16) == ip
}

/// The pauses between announcements of an address, to the second, once there are as many as `expected` has.
#[track_caller]
fn pauses(bed: &Bed, ip: &str, skip: usize, expected: &[u64]) -> Vec<u64> {
    let times = || -> Vec<_> {
        let frames = bed.frames("wire");
        frames.iter().filter(|frame| announces(frame, ip)).map(|frame| frame.at).skip(skip).collect()
    };
    let times = wait_for(&format!("{} announcements of {ip}", expected.len() + 1), || {
        Some(times()).filter(|times| times.len() > expected.len())
    });
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_secs_f64().round() as u64).collect()
}

#[test]
fn five_times_or_for_ever_as_the_chassis_says() {
    let beds = [Component::Stock, Component::Kiln].map(|whose| {
        let bed = Bed::start(whose, EDGE, &["e1"], "add-br br-phys");
        bed.plug("br-phys", "wire");
        bed
    });
    let set = |key: &str| {
        for bed in &beds {
            let line = format!("set Open_vSwitch . external_ids:{key}");
            bed.lab.ctl("ovs-vsctl", &bed.chassis.server, &line);
        }
    };
    // A second after there is a network, then after one more, and each pause is twice the one before.
    set("ovn-bridge-mappings=phys:br-phys");
    for (bed, whose) in beds.iter().zip(["stock", "kiln"]) {
        for ip in V4 {
            assert_eq!(pauses(bed, ip, 0, &[1, 2, 4, 8]), [1, 2, 4, 8], "{whose}: {ip}");
        }
    }
    // Other pauses: it all begins anew, and does not end.
    set("garp-max-timeout-sec=3");
    for (bed, whose) in beds.iter().zip(["stock", "kiln"]) {
        for ip in V4 {
            assert_eq!(pauses(bed, ip, 5, &[1, 2, 3, 3]), [1, 2, 3, 3], "{whose}: {ip}");
        }
    }
    // Kiln announces addresses of the other family at the same times.
    let [_, kiln] = &beds;
    for ip in V6 {
        assert_eq!(pauses(kiln, ip, 0, &[1, 2, 4, 8])[..4], [1, 2, 4, 8], "{ip}");
        assert_eq!(pauses(kiln, ip, 5, &[1, 2, 3, 3])[..4], [1, 2, 3, 3], "{ip}");
    }

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "announced");
    let version = kiln.lab.version(Component::Stock, "ovn-controller");
    figures.peer("ovn-controller", &version).packets += 2 * (5 + 5);
}
