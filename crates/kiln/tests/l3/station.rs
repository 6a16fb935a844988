//! A host's wire: what is sent into the network there, and what comes out.

use crate::decode::{Frame, Names, hex};
use kiln_sandbox::Host;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long the agent may take to start on a busy machine.
const START: Duration = Duration::from_secs(20);

pub struct Station {
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<Heard>,
    reader: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    frames: Mutex<Option<Vec<Frame>>>,
    more: Condvar,
}

impl Station {
    /// Starts to capture at a host.
    #[track_caller]
    pub fn start(host: &Host, names: &Arc<Names>) -> Station {
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("agent.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = host.namespace().enter(|| Ok(command.spawn()));
        let mut child = child.unwrap_or_else(|error| panic!("{error}")).expect("python3 runs");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("it is a pipe"));
        let heard = Arc::new(Heard::default());
        let (theirs, names) = (Arc::clone(&heard), Arc::clone(names));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut frames = theirs.frames.lock().unwrap();
                match frames.as_mut() {
                    Some(frames) => frames.push(Frame::read(bytes(&line), &names)),
                    // The first line says that it listens.
                    None => *frames = Some(Vec::new()),
                }
                theirs.more.notify_all();
            }
        });
        let station = Station { child, input, heard, reader: Some(reader) };
        let frames = station.heard.frames.lock().unwrap();
        let (frames, late) = station.heard.more.wait_timeout_while(frames, START, |f| f.is_none()).unwrap();
        assert!(!late.timed_out(), "no capture at {}", host.name());
        drop(frames);
        station
    }

    /// Sends frames back to back.
    pub fn send(&mut self, frames: &[Vec<u8>]) {
        let words: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
        let input = self.input.as_mut().expect("it is open until this is dropped");
        input.write_all(format!("{}\n", words.join(" ")).as_bytes()).expect("the agent listens");
    }

    /// How many frames have come so far.
    pub fn mark(&self) -> usize {
        self.heard.frames.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// The frames that have come since a mark.
    pub fn since(&self, mark: usize) -> Vec<Frame> {
        self.heard.frames.lock().unwrap().as_ref().map_or_else(Vec::new, |frames| frames[mark..].to_vec())
    }

    /// Waits until what has come since a mark is enough; whether it was.
    pub fn wait(&self, mark: usize, limit: Duration, mut enough: impl FnMut(&[Frame]) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut frames = self.heard.frames.lock().unwrap();
        loop {
            if enough(&frames.as_ref().expect("it has started")[mark..]) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            frames = self.heard.more.wait_timeout(frames, left).unwrap().0;
        }
    }
}

/// The bytes that pairs of hexadecimal digits stand for.
pub fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .map(|byte| byte.expect("hexadecimal digits"))
        .collect()
}

impl Drop for Station {
    fn drop(&mut self) {
        // The agent ends with its input.
        drop(self.input.take());
        let _ = self.child.wait();
        let _ = self.reader.take().map(std::thread::JoinHandle::join);
    }
}
