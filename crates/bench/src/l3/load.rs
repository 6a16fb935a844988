//! What hosts do to the slow path, through ordinary sockets, and what they see of it.

use super::Samples;
use crate::Result;
use kiln_sandbox::Host;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one answer is waited for; so long counts as its time if it does not come.
const LOST: Duration = Duration::from_secs(1);
/// How many answers may be awaited at once.
const WINDOW: usize = 64;
/// What has not come after this long is lost.
const STALL: Duration = Duration::from_millis(100);
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

/// What ICMP tells a host, each message once, as a raw socket hands it over: with its IP header.
struct Icmp(UdpSocket);

/// Where an IPv4 header without options ends.
const IP_LEN: usize = 20;
/// Where the quoted packet's UDP destination port is in a message.
const QUOTED_PORT: Range<usize> = 8 + IP_LEN + 2..8 + IP_LEN + 4;

impl Icmp {
    /// In the calling thread's namespace. Nothing is waited for longer than `timeout`.
    fn open(timeout: Duration) -> std::io::Result<Icmp> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(timeout))?;
        Ok(Icmp(socket))
    }

    /// The next message that is one of those waited for; whether it came in time.
    fn wait(&self, is_awaited: impl Fn(&[u8]) -> bool) -> bool {
        let mut buffer = [0; 128];
        loop {
            match self.0.recv(&mut buffer) {
                Ok(len) if is_awaited(buffer.get(IP_LEN..len).unwrap_or_default()) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

fn is_time_exceeded(message: &[u8]) -> bool {
    message.first() == Some(&11)
}

/// Does something over and over that is answered by an ICMP message, waiting for each answer.
fn one_by_one(
    client: &Host,
    samples: u16,
    ask: impl Fn(&Icmp, u16) -> std::io::Result<()>,
    is_answer: impl Fn(&[u8], u16) -> bool,
) -> Result<Samples> {
    let icmp = client.namespace().enter(|| Ok(Icmp::open(LOST)))??;
    let mut times = Vec::new();
    for serial in 1..=samples {
        let start = Instant::now();
        ask(&icmp, serial)?;
        let came = icmp.wait(|message| is_answer(message, serial));
        times.push(if came { start.elapsed().min(LOST) } else { LOST });
    }
    Ok(times)
}

/// Sends packets that expire, one after the other, and waits for each to be told of.
pub(super) fn wait_for_errors(client: &Host, samples: u16) -> Result<Samples> {
    let socket = socket(client, 0)?;
    socket.set_ttl(1)?;
    let ask = |_: &Icmp, serial| socket.send_to(&[0; 32], (BEYOND, serial)).map(drop);
    let is_answer = |message: &[u8], serial: u16| {
        is_time_exceeded(message) && message.get(QUOTED_PORT) == Some(&serial.to_be_bytes())
    };
    one_by_one(client, samples, ask, is_answer)
}

/// Pings the server, whose address the router knows: what the switch forwards without asking anybody.
pub(super) fn pings(client: &Host, samples: u16) -> Result<Samples> {
    let ask = |icmp: &Icmp, serial: u16| {
        let [high, low] = serial.to_be_bytes();
        // An echo request with this sequence number, and a checksum over the two words that are not zero.
        let [sum_high, sum_low] = (!(0x0800 + serial)).to_be_bytes();
        icmp.0.send_to(&[8, 0, sum_high, sum_low, 0, 0, high, low], (BEYOND, 0)).map(drop)
    };
    let is_answer = |message: &[u8], serial: u16| {
        message.first() == Some(&0) && message.get(6..8) == Some(&serial.to_be_bytes())
    };
    one_by_one(client, samples, ask, is_answer)
}

/// Asks for as many answers as come, with so many awaited at once; how many came.
pub(super) fn answers(client: &Host, kind: Kind, during: Duration) -> Result<u64> {
    match kind {
        Kind::Error => errors(client, during),
        Kind::Reset => resets(client, during),
    }
}

fn errors(client: &Host, during: Duration) -> Result<u64> {
    let socket = socket(client, 0)?;
    socket.set_ttl(1)?;
    let icmp = client.namespace().enter(|| Ok(Icmp::open(STALL)))??;
    let (start, mut awaited, mut came) = (Instant::now(), 0, 0);
    while start.elapsed() < during {
        while awaited < WINDOW {
            socket.send_to(&[0; 32], (BEYOND, PORT))?;
            awaited += 1;
        }
        if icmp.wait(is_time_exceeded) {
            (came, awaited) = (came + 1, awaited - 1);
        } else {
            awaited = 0;
        }
    }
    Ok(came)
}

fn resets(client: &Host, during: Duration) -> Result<u64> {
    let work = || {
        let (start, mut attempts, mut came) = (Instant::now(), Vec::new(), 0);
        while start.elapsed() < during {
            while attempts.len() < WINDOW {
                attempts.push(Attempt::start(SocketAddr::from((GATEWAY, PORT)))?);
            }
            came += Attempt::end(&mut attempts)?;
        }
        Ok::<_, std::io::Error>(came)
    };
    Ok(client.namespace().enter(|| Ok(work()))??)
}

/// A connection that is being opened. One thread waits for all of them: if each had a thread, the switch would spend its time
/// on waking them up.
struct Attempt(OwnedFd);

impl Attempt {
    /// In the calling thread's namespace.
    fn start(address: SocketAddr) -> std::io::Result<Attempt> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Attempt(socket)),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until some have ended, and takes those out; how many were refused. If none ends for long, all are given up.
    fn end(attempts: &mut Vec<Attempt>) -> std::io::Result<u64> {
        let timeout = Timespec::try_from(STALL).map_err(std::io::Error::other)?;
        let mut waits: Vec<PollFd> =
            attempts.iter().map(|attempt| PollFd::new(&attempt.0, PollFlags::OUT)).collect();
        if rustix::event::poll(&mut waits, Some(&timeout))? == 0 {
            attempts.clear();
            return Ok(0);
        }
        let has_ended: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
        let mut has_ended = has_ended.into_iter();
        let mut refused = 0;
        attempts.retain(|attempt| {
            let has_ended = has_ended.next().unwrap_or(false);
            refused += u64::from(has_ended && attempt.is_refused());
            !has_ended
        });
        Ok(refused)
    }

    fn is_refused(&self) -> bool {
        matches!(rustix::net::sockopt::socket_error(&self.0), Ok(Err(Errno::CONNREFUSED)))
    }
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
