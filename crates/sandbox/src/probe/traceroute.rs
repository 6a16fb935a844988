//! The way to a target by the `traceroute` program: which router answers for each hop.

use super::{End, Outcome};
use crate::Error;
use crate::host::Host;
use std::fmt;
use std::net::IpAddr;
use std::process::Command;

const HOPS_MAX: u32 = 16;

pub(super) fn run(
    host: &Host,
    address: IpAddr,
    via: Option<&[IpAddr]>,
    hops: Option<u32>,
) -> Result<Outcome, Error> {
    let mut command = Command::new("traceroute");
    // One packet at a time: a router that has to resolve its next hop keeps only so many.
    command.args(["-n", "-q", "1", "-N", "1", "-w", "2", "-m", &HOPS_MAX.to_string()]);
    let output = host.namespace().output(command.arg(address.to_string()))?;
    let way = parse(&String::from_utf8_lossy(&output.stdout));
    let sent = format!("up to {HOPS_MAX} hops");
    if way.is_empty() {
        let came_back = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Ok(Outcome { sent, came_back, end: End::Wrong });
    }
    let end = judge(&way, address, via, hops, |from| host.has(from));
    let came_back = way.iter().map(Hop::to_string).collect::<Vec<_>>().join(" ");
    Ok(Outcome { sent, came_back, end })
}

/// Who answered for a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hop {
    Silent,
    Passed(IpAddr),
    /// With what `traceroute` puts behind the time, as in `!H`.
    Refused(IpAddr, String),
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hop::Silent => f.write_str("*"),
            Hop::Passed(address) => write!(f, "{address}"),
            Hop::Refused(address, mark) => write!(f, "{address}{mark}"),
        }
    }
}

/// Lines such as ` 2  192.168.0.2  0.861 ms` or ` 3  *` or ` 1  10.0.1.1  3.2 ms !H`. Silence at the end counts once.
fn parse(text: &str) -> Vec<Hop> {
    let mut way = Vec::new();
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        if words.next().and_then(|number| number.parse::<u32>().ok()).is_none() {
            continue;
        }
        let address = words.next().and_then(|word| word.parse().ok());
        let mark = words.find(|word| word.starts_with('!'));
        way.push(match (address, mark) {
            (None, _) => Hop::Silent,
            (Some(address), None) => Hop::Passed(address),
            (Some(address), Some(mark)) => Hop::Refused(address, mark.to_owned()),
        });
    }
    let silent = way.iter().rev().take_while(|hop| **hop == Hop::Silent).count();
    way.truncate(way.len() - silent.saturating_sub(1));
    way
}

fn judge(
    way: &[Hop],
    address: IpAddr,
    via: Option<&[IpAddr]>,
    hops: Option<u32>,
    is_own: impl Fn(IpAddr) -> bool,
) -> End {
    match way.last() {
        Some(Hop::Passed(last)) if *last == address => {
            let routers: Vec<&Hop> = way[..way.len() - 1].iter().collect();
            let as_told = |via: &[IpAddr]| {
                routers.len() == via.len()
                    && routers.iter().zip(via).all(|(hop, ip)| **hop == Hop::Passed(*ip))
            };
            let right_way = via.is_none_or(as_told) && hops.is_none_or(|hops| hops as usize == way.len());
            if right_way { End::Reached } else { End::Wrong }
        }
        Some(Hop::Refused(from, _)) if !is_own(*from) => End::Refused,
        _ => End::Silence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_and_judged() {
        let text = "traceroute to 10.0.2.12 (10.0.2.12), 16 hops max, 60 byte packets\n 1  10.0.1.1  0.750 ms\n 2  \
                    192.168.0.2  0.861 ms\n 3  10.0.2.12  2.945 ms\n";
        let way = parse(text);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let routers = [ip("10.0.1.1"), ip("192.168.0.2")];
        let judged = |via, hops| judge(&way, ip("10.0.2.12"), via, hops, |_| false);
        assert_eq!(judged(Some(&routers[..]), Some(3)), End::Reached);
        assert_eq!(judged(Some(&routers[..1]), None), End::Wrong);
        assert_eq!(judged(None, Some(2)), End::Wrong);
        assert_eq!(judge(&way, ip("10.0.2.13"), None, None, |_| false), End::Silence);
    }

    #[test]
    fn silence_and_refusals() {
        let silent = parse("traceroute to\n 1  10.0.1.1  0.7 ms\n 2  *\n 3  *\n 4  *\n");
        assert_eq!(silent.iter().map(Hop::to_string).collect::<Vec<_>>(), ["10.0.1.1", "*"]);
        let refused = parse("traceroute to\n 1  10.0.1.1  3.2 ms !H\n");
        let target = "10.0.9.9".parse().unwrap();
        assert_eq!(judge(&refused, target, None, None, |_| false), End::Refused);
        assert_eq!(judge(&refused, target, None, None, |from| from.to_string() == "10.0.1.1"), End::Silence);
    }
}
