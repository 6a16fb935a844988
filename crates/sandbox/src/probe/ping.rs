//! ICMP echo by the `ping` program, which every answer must reach.

use super::{End, Outcome, plural};
use crate::Error;
use crate::host::Host;
use std::net::IpAddr;
use std::process::Command;

pub(super) fn run(host: &Host, address: IpAddr, count: u32, size: u32) -> Result<Outcome, Error> {
    let mut command = Command::new("ping");
    command.args(["-n", "-i", "0.2", "-W", "2", "-c", &count.to_string(), "-s", &size.to_string()]);
    let output = host.namespace().output(command.arg(address.to_string()))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let size = if size == 56 { String::new() } else { format!(" of {size} bytes") };
    let sent = format!("{}{size}", plural(count, "request", "requests"));
    let (end, came_back) = judge(&text, count, |from| host.has(from));
    Ok(Outcome { sent, came_back, end })
}

/// Reads what `ping` printed. Errors that the host itself raised, for lack of an answer from its gateway, are no
/// answers.
fn judge(text: &str, count: u32, is_own: impl Fn(IpAddr) -> bool) -> (End, String) {
    let summary = text.lines().find(|line| line.contains("packets transmitted"));
    let received = summary.and_then(|line| line.split(", ").find_map(|part| part.strip_suffix(" received")));
    let Some(received) = received.and_then(|number| number.parse::<u32>().ok()) else {
        let words = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing printed");
        return (End::Wrong, words.trim().to_owned());
    };
    if received >= count {
        let rtt = text.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = "));
        let mean =
            rtt.and_then(|rtt| rtt.split('/').nth(1)).map(|ms| format!(", {ms} ms")).unwrap_or_default();
        return (End::Reached, format!("{}{mean}", plural(received, "reply", "replies")));
    }
    if received > 0 {
        return (End::Wrong, format!("only {}", plural(received, "reply", "replies")));
    }
    match text.lines().find_map(error_of) {
        Some((from, words)) if !is_own(from) => (End::Refused, format!("{words} from {from}")),
        Some((_, words)) => (End::Silence, format!("nothing ({words})")),
        None => (End::Silence, "nothing".into()),
    }
}

/// `From 10.0.1.1 icmp_seq=1 Destination Host Unreachable`, with or without a colon after the address.
fn error_of(line: &str) -> Option<(IpAddr, &str)> {
    let (from, rest) = line.strip_prefix("From ")?.split_once(' ')?;
    let (_, words) = rest.trim_start().strip_prefix("icmp_seq=")?.split_once(' ')?;
    Some((from.trim_end_matches(':').parse().ok()?, words.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Printed by iputils 20221126.
    const ANSWERED: &str = "PING 10.0.2.12 (10.0.2.12) 56(84) bytes of data.\n\
        64 bytes from 10.0.2.12: icmp_seq=1 ttl=63 time=4.97 ms\n\n--- 10.0.2.12 ping statistics ---\n\
        2 packets transmitted, 2 received, 0% packet loss, time 1001ms\n\
        rtt min/avg/max/mdev = 1.016/2.990/4.965/1.974 ms\n";
    const REFUSED: &str = "PING fd02::9(fd02::9) 56 data bytes\n\
        From fd01::1 icmp_seq=1 Destination unreachable: Address unreachable\n\n--- fd02::9 ping statistics ---\n\
        2 packets transmitted, 0 received, +1 errors, 100% packet loss, time 1003ms\n";

    #[test]
    fn each_end_is_told_apart() {
        let judge = |text: &str, own: &str| judge(text, 2, |from| from.to_string() == own);
        assert_eq!(judge(ANSWERED, ""), (End::Reached, "2 replies, 2.990 ms".into()));
        assert_eq!(judge(&ANSWERED.replace("2 received", "1 received"), "").0, End::Wrong);
        let words = "Destination unreachable: Address unreachable";
        assert_eq!(judge(REFUSED, ""), (End::Refused, format!("{words} from fd01::1")));
        assert_eq!(judge(REFUSED, "fd01::1").0, End::Silence);
        assert_eq!(judge("ping: connect: Network is unreachable\n", "").0, End::Wrong);
    }
}
