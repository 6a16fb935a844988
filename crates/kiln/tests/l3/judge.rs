//! A case carried out in a system: whether it passes, and what was seen on the way.

use crate::decode::Frame;
use crate::masks::Mask;
use crate::script::{Case, Step};
use crate::system::{PATIENCE, System, of_fence};
use kiln_sandbox::Component;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Packets by the expression that they were made from.
pub type Packets = BTreeMap<String, Vec<Vec<u8>>>;

/// What came of a case.
pub struct Outcome {
    /// Why it does not pass.
    pub fault: Option<String>,
    /// The frames of each step that sees some.
    pub seen: Vec<Vec<Frame>>,
    pub took: Duration,
}

/// What of a case is under way.
struct Trial<'a> {
    system: &'a mut System,
    packets: &'a Packets,
    masks: Vec<&'static Mask>,
    /// How many frames had come to each host when the first packet was sent that is yet to be seen.
    marks: BTreeMap<String, usize>,
    /// The hosts that have sent since.
    sent: BTreeSet<String>,
    /// Something has been seen since: what is sent now begins anew.
    looked: bool,
    servers: Vec<Child>,
    seen: Vec<Vec<Frame>>,
}

/// Carries out a case. What masks except is not asked of stock.
pub fn carry_out(case: &Case, system: &mut System, packets: &Packets, whose: Component) -> Outcome {
    let start = Instant::now();
    let named = case.masks.iter().map(|name| Mask::named(name));
    let masks = if whose == Component::Stock { named.collect() } else { Vec::new() };
    let mut trial = Trial {
        system,
        packets,
        masks,
        marks: BTreeMap::new(),
        sent: BTreeSet::new(),
        looked: true,
        servers: Vec::new(),
        seen: Vec::new(),
    };
    let result = case.steps.iter().try_for_each(|step| trial.take(step));
    trial.stop_servers();
    let seen = std::mem::take(&mut trial.seen);
    let restored = case.finally.iter().try_for_each(|line| system.nbctl(line).map(drop));
    let restored = restored.and_then(|()| if case.finally.is_empty() { Ok(()) } else { system.sync() });
    Outcome { fault: result.and(restored).err(), seen, took: start.elapsed() }
}

impl Trial<'_> {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send { host, packets } => {
                self.begin(host)?;
                self.send(host, packets)
            }
            Step::Repeat { host, during, every, packets } => self.repeat(host, *during, *every, packets),
            Step::See { host, chosen, lines } => self.see(host, chosen, lines),
            Step::Count { host, range, chosen } => {
                let frames = self.collect(host, chosen, *range.start())?;
                let count = frames.len();
                let kind = chosen.join(" ");
                let words = format!("{host} got {count} of {kind}, expected {range:?}");
                if range.contains(&count) { Ok(()) } else { Err(words) }
            }
            Step::Run { host, command, well, prints } => {
                self.begin(host)?;
                let output = self.system.run(host, command)?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr);
                let line = command.join(" ");
                if output.status.success() != *well {
                    return Err(format!("`{line}` at {host} ended with {}:\n{text}", output.status));
                }
                missing(&text, prints).map_err(|what| format!("`{line}` at {host} {what}"))
            }
            Step::Serve { host, port, command } => self.serve(host, *port, command),
            Step::Nbctl(line) => {
                self.system.nbctl(line)?;
                self.system.sync()
            }
            Step::Until { whom, command, prints } => self.until(whom, command, prints),
            Step::Forget => self.system.forget(),
            Step::Settle => self.system.sync(),
        }
    }

    /// A host is about to send.
    fn begin(&mut self, host: &str) -> Result<(), String> {
        if !self.system.stations.contains_key(host) {
            return Err(format!("there is no host `{host}`"));
        }
        if std::mem::take(&mut self.looked) {
            self.sent.clear();
            let stations = self.system.stations.iter();
            self.marks = stations.map(|(name, station)| (name.clone(), station.mark())).collect();
        }
        self.sent.insert(host.to_owned());
        Ok(())
    }

    fn send(&mut self, host: &str, packets: &str) -> Result<(), String> {
        let frames = self.packets.get(packets).expect("every expression was composed");
        let station = self.system.stations.get_mut(host).expect("it was looked at");
        station.send(frames);
        Ok(())
    }

    /// A stream of packets at a steady pace.
    fn repeat(&mut self, host: &str, during: Duration, every: Duration, packets: &str) -> Result<(), String> {
        self.begin(host)?;
        let start = Instant::now();
        let mut next = start;
        while next < start + during {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            self.send(host, packets)?;
            next += every;
        }
        Ok(())
    }

    /// The chosen frames that have come to a host, at least so many unless it is in vain, and none that is still on its way.
    fn collect(&mut self, host: &str, chosen: &[String], least: usize) -> Result<Vec<Frame>, String> {
        let is_chosen = |frame: &&Frame| chosen.iter().all(|word| frame.has(word)) && !of_fence(frame);
        let mark = *self.marks.get(host).ok_or_else(|| format!("nothing was sent that {host} could see"))?;
        let enough = |frames: &[Frame]| frames.iter().filter(is_chosen).count() >= least;
        let came = self.system.stations[host].wait(mark, PATIENCE, enough);
        if !self.looked {
            self.looked = true;
            if came {
                for sender in self.sent.clone() {
                    self.system.fence(&sender)?;
                }
            }
        }
        if came && !self.sent.contains(host) {
            self.system.fence(host)?;
        }
        Ok(self.system.stations[host].since(mark).iter().filter(is_chosen).cloned().collect())
    }

    fn see(&mut self, host: &str, chosen: &[String], lines: &[Vec<String>]) -> Result<(), String> {
        let frames = self.collect(host, chosen, lines.len())?;
        let excepted = |frame: &Frame, word: &str| {
            let key = word.split_once('=').map_or(word, |(key, _)| key);
            self.masks.iter().any(|mask| mask.fields.contains(&key) && mask.is_about(frame))
        };
        let matches = |frame: &Frame, words: &[String]| {
            words.iter().all(|word| frame.has(word) || excepted(frame, word))
                && frame.fields.iter().all(|field| field.text != "bad")
        };
        let holds = frames.len() == lines.len()
            && frames.iter().zip(lines).all(|(frame, words)| matches(frame, words));
        let words = |lines: Vec<String>| match lines.len() {
            0 => "  nothing".to_owned(),
            _ => lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"),
        };
        let result = holds.then_some(()).ok_or_else(|| {
            let expected = words(lines.iter().map(|words| words.join(" ")).collect());
            let found = words(frames.iter().map(Frame::to_string).collect());
            format!("{host}: expected\n{expected}\nfound\n{found}")
        });
        self.seen.push(frames);
        result
    }

    fn serve(&mut self, host: &str, port: u16, command: &[String]) -> Result<(), String> {
        let place = self.system.sandbox.host(host).map_err(|error| error.to_string())?;
        let mut server = Command::new(&command[0]);
        server.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = place.namespace().enter(|| Ok(server.spawn())).map_err(|error| error.to_string())?;
        self.servers.push(child.map_err(|error| format!("{command:?}: {error}"))?);
        self.system.listens(host, port)
    }

    fn stop_servers(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn until(&mut self, whom: &str, command: &[String], prints: &[String]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = match whom {
                "sb" => self.system.sbctl(command)?,
                "nb" => self.system.nbctl(&command.join(" "))?,
                host if self.system.stations.contains_key(host) => {
                    String::from_utf8_lossy(&self.system.run(host, command)?.stdout).into_owned()
                }
                chassis if command[0] == "switch" => self.system.switch(chassis, &command[1..])?,
                chassis if command == ["log"] => self.system.log(chassis)?,
                chassis => self.system.controller(chassis, command)?,
            };
            match missing(&text, prints) {
                Ok(()) => return Ok(()),
                Err(what) if Instant::now() > deadline => {
                    return Err(format!("{whom} `{}` {what}", command.join(" ")));
                }
                Err(_) => {}
            }
        }
    }
}

/// Fails unless a text has what it must have, and nothing that it must not.
fn missing(text: &str, prints: &[String]) -> Result<(), String> {
    for line in prints {
        let (wanted, line) = line.strip_prefix("! ").map_or((true, line.as_str()), |line| (false, line));
        if text.contains(line) != wanted {
            let words = if wanted { "does not print" } else { "prints" };
            return Err(format!("{words} `{line}`:\n{text}"));
        }
    }
    Ok(())
}
