//! TCP: a payload to a server on the target, which sends it back, compared byte by byte.

use super::{End, Outcome};
use crate::Error;
use crate::error::Context;
use crate::host::Host;
use kiln_topology::{Probe, ProbeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CONNECT: Duration = Duration::from_secs(4);
const STALL: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// The servers that the TCP probes of a run need.
pub(super) struct Servers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Listens on each target that is a host, in its namespace.
    pub(super) fn start(
        probes: &[Probe],
        targets: &[IpAddr],
        hosts: &BTreeMap<String, Host>,
    ) -> Result<Servers, Error> {
        let mut servers = Servers { stop: Arc::default(), threads: Vec::new() };
        let mut addresses = BTreeSet::new();
        for (probe, address) in probes.iter().zip(targets) {
            if let ProbeKind::Tcp { port, .. } = probe.kind {
                addresses.insert(SocketAddr::new(*address, port));
            }
        }
        for address in addresses {
            let Some(host) = hosts.values().find(|host| host.has(address.ip())) else { continue };
            let listener = host.namespace().enter(|| {
                let what = || format!("listening on {address} in {}", host.namespace().name());
                let listener = TcpListener::bind(address).context(what)?;
                listener.set_nonblocking(true).context(what)?;
                Ok(listener)
            })?;
            let stop = Arc::clone(&servers.stop);
            servers.threads.push(std::thread::spawn(move || serve(&listener, &stop)));
        }
        Ok(servers)
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // A connection ends by itself: its client hangs up, or nothing comes any more.
            Ok((stream, _)) => drop(std::thread::spawn(move || echo(stream))),
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut back = stream.try_clone()?;
    io::copy(&mut stream, &mut back)?;
    back.shutdown(Shutdown::Write)
}

pub(super) fn run(host: &Host, address: SocketAddr, bytes: u32) -> Result<Outcome, Error> {
    let sent = format!("{bytes} bytes to port {}", address.port());
    let start = Instant::now();
    // The socket stays in the namespace that it was opened in.
    let connected = host.namespace().enter(|| Ok(TcpStream::connect_timeout(&address, CONNECT)))?;
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => {
            let (end, came_back) = refusal(&error);
            return Ok(Outcome { sent, came_back, end });
        }
    };
    let (end, came_back) = match exchange(stream, bytes as usize) {
        Ok(()) => (End::Reached, format!("the same, {:.0} ms", start.elapsed().as_secs_f64() * 1e3)),
        Err(words) => (End::Wrong, words),
    };
    Ok(Outcome { sent, came_back, end })
}

fn refusal(error: &io::Error) -> (End, String) {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => (End::Silence, "nothing".into()),
        _ => (End::Refused, error.to_string()),
    }
}

/// Bytes whose pattern does not repeat within a segment, so that a lost or doubled piece shows.
fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}

fn exchange(mut stream: TcpStream, bytes: usize) -> Result<(), String> {
    let payload = payload(bytes);
    let words = |error: io::Error, at: usize| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("stalled after {at} bytes"),
        _ => format!("{error} after {at} bytes"),
    };
    stream.set_read_timeout(Some(STALL)).map_err(|error| words(error, 0))?;
    stream.set_write_timeout(Some(STALL)).map_err(|error| words(error, 0))?;
    let mut output = stream.try_clone().map_err(|error| words(error, 0))?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // If this fails, the reader notices that something is missing.
            let _ = output.write_all(&payload).and_then(|()| output.shutdown(Shutdown::Write));
        });
        let mut buffer = [0; 16_384];
        let mut at = 0;
        loop {
            let read = stream.read(&mut buffer).map_err(|error| words(error, at))?;
            if read == 0 {
                let missing = payload.len() - at;
                return if missing == 0 {
                    Ok(())
                } else {
                    Err(format!("{missing} bytes missing at the end"))
                };
            }
            if payload.get(at..at + read) != Some(&buffer[..read]) {
                return Err(format!("other bytes than sent, after {at}"));
            }
            at += read;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn against(server: fn(TcpStream) -> io::Result<()>) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || server(listener.accept().unwrap().0));
        let result = exchange(TcpStream::connect(address).unwrap(), 100_000);
        thread.join().unwrap().unwrap();
        result
    }

    #[test]
    fn only_the_same_bytes_are_an_echo() {
        assert_eq!(against(echo), Ok(()));
        let short = |mut stream: TcpStream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            stream.write_all(&all[..all.len() - 1])
        };
        assert_eq!(against(short), Err("1 bytes missing at the end".into()));
        let bent = |mut stream: TcpStream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            all[50_000] ^= 1;
            stream.write_all(&all)
        };
        assert!(against(bent).unwrap_err().starts_with("other bytes"));
    }
}
