//! What hosts do to the slow path, through ordinary sockets, and what they see of it.

use super::Samples;
use crate::Result;
use kiln_sandbox::Host;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long one answer is waited for; so long counts as its time if it does not come.
const LOST: Duration = Duration::from_secs(1);
/// How many errors may be awaited at once.
const WINDOW: u64 = 64;
/// What has not come after this long is lost.
const STALL: Duration = Duration::from_millis(100);
/// How many connections are tried at once.
const CLIENTS: usize = 16;
/// What is discarded (RFC 863).
const PORT: u16 = 9;
/// Of the router.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// In a network that the router has: a packet that would go there expires first.
const BEYOND: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 2);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Time exceeded.
    Error,
    /// A connection that is refused.
    Reset,
}

fn socket(host: &Host, port: u16) -> Result<UdpSocket> {
    Ok(host.namespace().enter(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))))??)
}

/// Sends a packet to each address of the server that nobody has asked for, and waits until it has come.
pub(super) fn resolve(client: &Host, server: &Host, hops: Range<u16>) -> Result<Samples> {
    let (client, server) = (socket(client, 0)?, socket(server, PORT)?);
    server.set_read_timeout(Some(LOST))?;
    let mut samples = Vec::new();
    for hop in hops {
        let [high, low] = hop.to_be_bytes();
        let start = Instant::now();
        client.send_to(&[high, low], (Ipv4Addr::new(10, 2, 128 | high, low), PORT))?;
        let mut buffer = [0; 2];
        let came = loop {
            match server.recv(&mut buffer) {
                Ok(_) if buffer == [high, low] => break start.elapsed(),
                // One that was given up.
                Ok(_) => {}
                Err(_) => break LOST,
            }
        };
        samples.push(came.min(LOST));
    }
    Ok(samples)
}

/// The kernel's count of time exceeded messages that came in, in the calling thread's namespace.
struct Exceeded(File);

impl Exceeded {
    fn open() -> std::io::Result<Exceeded> {
        File::open("/proc/thread-self/net/snmp").map(Exceeded)
    }

    fn count(&self) -> std::io::Result<u64> {
        let mut buffer = [0; 4096];
        let read = self.0.read_at(&mut buffer, 0)?;
        let text = String::from_utf8_lossy(&buffer[..read]);
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let mut pairs = names.split(' ').zip(values.split(' '));
        let found = pairs.find(|(name, _)| *name == "InTimeExcds");
        found.and_then(|(_, value)| value.parse().ok()).ok_or_else(|| std::io::Error::other("no InTimeExcds"))
    }
}

/// Sends packets that expire, one after the other, and waits for each to be told of.
pub(super) fn wait_for_errors(client: &Host, samples: u16) -> Result<Samples> {
    let work = || -> std::io::Result<Samples> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_ttl(1)?;
        let exceeded = Exceeded::open()?;
        let one = |_| {
            let before = exceeded.count()?;
            let start = Instant::now();
            socket.send_to(&[0; 32], (BEYOND, PORT))?;
            while exceeded.count()? == before && start.elapsed() < LOST {
                std::thread::yield_now();
            }
            Ok(start.elapsed().min(LOST))
        };
        (0..samples).map(one).collect()
    };
    Ok(client.namespace().enter(|| Ok(work()))??)
}

/// Asks for as many answers as come, with so many awaited at once; how many came.
pub(super) fn answers(client: &Host, kind: Kind, during: Duration) -> Result<u64> {
    match kind {
        Kind::Error => Ok(client.namespace().enter(|| Ok(errors(during)))??),
        Kind::Reset => resets(client, during),
    }
}

fn errors(during: Duration) -> std::io::Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_ttl(1)?;
    let exceeded = Exceeded::open()?;
    let before = exceeded.count()?;
    let (start, mut sent, mut lost, mut last) = (Instant::now(), 0, 0, (0, Instant::now()));
    while start.elapsed() < during {
        let came = exceeded.count()? - before;
        if came > last.0 {
            last = (came, Instant::now());
        } else if last.1.elapsed() > STALL {
            lost = sent - came;
            last.1 = Instant::now();
        }
        while sent - lost < came + WINDOW {
            socket.send_to(&[0; 32], (BEYOND, PORT))?;
            sent += 1;
        }
    }
    Ok(exceeded.count()? - before)
}

fn resets(client: &Host, during: Duration) -> Result<u64> {
    let count = AtomicU64::new(0);
    let start = Instant::now();
    let work = || {
        let address = SocketAddr::from((GATEWAY, PORT));
        while start.elapsed() < during {
            let refused = TcpStream::connect_timeout(&address, STALL).map_err(|error| error.kind());
            if refused.err() == Some(std::io::ErrorKind::ConnectionRefused) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    client.namespace().enter(|| {
        std::thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(work))));
        Ok(())
    })?;
    Ok(count.into_inner())
}

/// A host that sends as fast as it can what has to be answered: packets that expire, and packets to neighbours that are
/// not there.
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
    start: Instant,
}

impl Flood {
    pub(super) fn start(host: &Host) -> Result<Flood> {
        let (expiring, lost) = (socket(host, 0)?, socket(host, 0)?);
        expiring.set_ttl(1)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            while !told.load(Ordering::Relaxed) {
                let [.., low] = (sent as u32).to_be_bytes();
                let one = expiring.send_to(&[0; 32], (BEYOND, PORT)).is_ok();
                let other = lost.send_to(&[0; 32], (Ipv4Addr::new(10, 2, 64, low), PORT)).is_ok();
                sent += u64::from(one) + u64::from(other);
            }
            sent
        });
        Ok(Flood { stop, thread, start: Instant::now() })
    }

    /// Ends it; what it sent, in packets a second.
    pub(super) fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let during = self.start.elapsed().as_secs_f64();
        self.thread.join().map_or(0.0, |sent| sent as f64 / during)
    }
}
