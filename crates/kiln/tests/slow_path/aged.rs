//! Stations of a physical network whose rows of FDB expire: who sends is kept, and who has sent once is forgotten.

use crate::bed::Bed;
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Database, wait_for};
use std::time::{Duration, Instant, SystemTime};

/// A switch that a physical network is plugged into, whose stations are learned, and kept for eight seconds.
const NETWORK: &str = "
    ls-add land
    set Logical_Switch land other_config:fdb_age_threshold=8
    lsp-add land ln
    lsp-set-type ln localnet
    lsp-set-addresses ln unknown
    lsp-set-options ln network_name=phys localnet_learn_fdb=true
    lsp-add land p1
    lsp-set-addresses p1 '0a:00:00:00:00:01 10.0.0.11'
";
const KEPT: Duration = Duration::from_secs(8);
/// How much later than it should a row may go, at most.
const SLACK: Duration = Duration::from_secs(20);

const SENDS: &str = "02:00:00:00:00:71";
const SILENT: &str = "02:00:00:00:00:72";

/// A row of FDB.
#[derive(Clone, Debug, PartialEq)]
struct Station {
    row: String,
    place: (i64, i64),
    heard: Duration,
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right")
}

fn station(bed: &Bed, mac: &str) -> Option<Station> {
    let rows = bed.lab.rows(&bed.south, Database::Southbound, "FDB");
    let row = rows.into_iter().find(|row| row["mac"] == mac)?;
    let number = |column: &str| row[column].as_i64().expect("a number");
    let heard = Duration::from_millis(number("timestamp") as u64);
    Some(Station { row: row["_uuid"][1].to_string(), place: (number("dp_key"), number("port_key")), heard })
}

/// UDP from a station of the physical network to `p1`.
fn send(bed: &Bed, mac: &str) {
    let packet = format!(
        "in_port(1),eth(src={mac},dst=0a:00:00:00:00:01),eth_type(0x0800),\
         ipv4(src=10.0.0.71,dst=10.0.0.11,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=9001)"
    );
    bed.receive("wire", &[packet]);
}

/// Whether the switch sends anything to a station in particular.
fn has_flow(bed: &Bed, mac: &str) -> bool {
    bed.lab.ofctl(&bed.chassis, "dump-flows BR").contains(&format!("dl_dst={mac}"))
}

fn key(bed: &Bed, table: &str, which: &str) -> i64 {
    let line = format!("--bare --columns=tunnel_key find {table} {which}");
    bed.lab.ctl("ovn-sbctl", &bed.south, &line).trim().parse().expect("a number")
}

/// When the row of a station that sends no more is gone.
#[track_caller]
fn forgotten(bed: &Bed, mac: &str, mut meanwhile: impl FnMut()) -> Duration {
    let mut last = None;
    wait_for(&format!("{mac} to be forgotten"), || {
        meanwhile();
        match station(bed, mac) {
            Some(row) => {
                last = Some(row.heard);
                None
            }
            None => Some(()),
        }
    });
    let kept = now().saturating_sub(last.expect("it was there"));
    assert!(kept >= KEPT && kept < KEPT + SLACK, "{mac} was forgotten {kept:?} after it was last heard of");
    wait_for("its flow to go", || (!has_flow(bed, mac)).then_some(()));
    kept
}

fn stations_come_and_go(whose: Component) -> Bed {
    let lines = "add-br br-phys\nset Open_vSwitch . external_ids:ovn-bridge-mappings=phys:br-phys";
    let bed = Bed::start(whose, NETWORK, &["p1"], lines);
    bed.plug("br-phys", "wire");
    let place = (
        key(&bed, "Datapath_Binding", "external_ids:name=land"),
        key(&bed, "Port_Binding", "logical_port=ln"),
    );
    let before = now();
    let [first, _] = [SENDS, SILENT].map(|mac| {
        let learned = wait_for(&format!("{whose}: {mac} to be learned"), || {
            send(&bed, mac);
            station(&bed, mac)
        });
        assert_eq!(learned.place, place, "{whose}: where it is");
        // Rows say milliseconds.
        assert!(learned.heard + Duration::from_millis(1) >= before && learned.heard <= now(), "{learned:?}");
        wait_for(&format!("{whose}: its flow"), || has_flow(&bed, mac).then_some(()));
        learned
    });
    let start = Instant::now();
    let kept = forgotten(&bed, SILENT, || send(&bed, SENDS));
    println!("{whose}: who has sent once was forgotten after {kept:?}");
    // Long enough for the row to have expired twice.
    wait_for("time to pass", || {
        send(&bed, SENDS);
        let still = station(&bed, SENDS).unwrap_or_else(|| panic!("{whose}: who sends was forgotten"));
        assert_eq!(still.row, first.row, "{whose}: it is the same row");
        (start.elapsed() > 2 * KEPT + Duration::from_secs(1) && still.heard > first.heard + KEPT)
            .then_some(())
    });
    let kept = forgotten(&bed, SENDS, || {});
    println!("{whose}: who sends no more was forgotten after {kept:?}");
    bed
}

#[test]
fn stations_are_kept_as_long_as_they_send() {
    let [stock, _] = std::thread::scope(|scope| {
        [Component::Stock, Component::Kiln]
            .map(|whose| scope.spawn(move || stations_come_and_go(whose)))
            .map(|side| side.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "aged");
    figures.peer("ovn-controller", &stock.lab.version(Component::Stock, "ovn-controller")).packets += 2;
}
