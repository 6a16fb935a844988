//! A relay between a controller and its switch that counts what is said.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// OpenFlow 1.5 message types (section 7.1).
pub const FLOW_MOD: u8 = 14;
pub const GROUP_MOD: u8 = 15;
pub const BARRIER_REPLY: u8 = 21;
pub const METER_MOD: u8 = 29;
pub const BUNDLE_CONTROL: u8 = 33;
pub const BUNDLE_ADD: u8 = 34;
/// `OFPBCT_COMMIT_REQUEST`.
const COMMIT: u16 = 4;

/// A connection's messages: what, and when.
#[derive(Debug, Default)]
pub struct Said {
    /// By type, from the controller.
    pub asked: BTreeMap<u8, usize>,
    /// Bundles that the controller committed.
    pub commits: usize,
    /// When the connection was made.
    pub since: Option<Instant>,
    /// When the switch confirmed the last barrier.
    pub settled: Option<Instant>,
}

/// Listens at a socket and connects each who comes to another.
#[derive(Debug)]
pub struct Relay {
    said: Arc<Mutex<Vec<Arc<Mutex<Said>>>>>,
}

impl Relay {
    pub fn start(at: &Path, to: PathBuf) -> Relay {
        let listener = UnixListener::bind(at).expect("a socket");
        let said: Arc<Mutex<Vec<Arc<Mutex<Said>>>>> = Arc::default();
        let relay = Relay { said: Arc::clone(&said) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&to) else { continue };
                let entry = Arc::new(Mutex::new(Said { since: Some(Instant::now()), ..Said::default() }));
                said.lock().unwrap().push(Arc::clone(&entry));
                let other = Arc::clone(&entry);
                pass(client.try_clone().unwrap(), server.try_clone().unwrap(), move |message| {
                    let mut said = entry.lock().unwrap();
                    *said.asked.entry(message[1]).or_default() += 1;
                    let kind = message.get(12..14).map(|b| u16::from_be_bytes([b[0], b[1]]));
                    said.commits += usize::from(message[1] == BUNDLE_CONTROL && kind == Some(COMMIT));
                });
                pass(server, client, move |message| {
                    if message[1] == BARRIER_REPLY {
                        other.lock().unwrap().settled = Some(Instant::now());
                    }
                });
            }
        });
        relay
    }

    /// Forgets all connections so far.
    pub fn forget(&self) {
        self.said.lock().unwrap().clear();
    }

    /// The connection that flows were sent over, and what was said there.
    pub fn flows<T>(&self, look: impl FnOnce(&Said) -> T) -> Option<T> {
        let all = self.said.lock().unwrap();
        let entry = all.iter().find(|said| said.lock().unwrap().commits > 0)?;
        let said = entry.lock().unwrap();
        Some(look(&said))
    }
}

/// Passes messages on in one direction.
fn pass(mut from: UnixStream, mut to: UnixStream, mut note: impl FnMut(&[u8]) + Send + 'static) {
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            waiting.extend_from_slice(&buffer[..count]);
            let mut at = 0;
            while let Some(header) = waiting.get(at..at + 8) {
                let length = usize::from(u16::from_be_bytes([header[2], header[3]])).max(8);
                let Some(message) = waiting.get(at..at + length) else { break };
                note(message);
                at += length;
            }
            waiting.drain(..at);
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
