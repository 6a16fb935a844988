//! The text of `Logical_Router.options:mac_binding_age_threshold` (ovn-nb(5)): after how long neighbours are forgotten.

use kiln_types::IpNet;
use std::net::IpAddr;
use std::str::FromStr;

/// `[PREFIX:]SECONDS`, several with semicolons between them: the longest prefix that holds an address decides, else the
/// entry without a prefix. Zero is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgeThresholds {
    /// The longest prefixes first.
    prefixes: Vec<(IpNet, u32)>,
    default_s: u32,
}

/// An entry that is not of this form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected [PREFIX:]SECONDS, found `{0}`")]
pub struct AgeThresholdError(String);

impl AgeThresholds {
    /// After how many seconds the neighbour at `ip` is forgotten; `None` for never.
    pub fn of(&self, ip: IpAddr) -> Option<u32> {
        let found = self.prefixes.iter().find(|(prefix, _)| prefix.contains(&ip));
        Some(found.map_or(self.default_s, |(_, seconds)| *seconds)).filter(|seconds| *seconds > 0)
    }

    /// The shortest of them, in seconds; `None` if nothing is ever forgotten. It is all that stock's controllers are told.
    pub fn shortest(&self) -> Option<u32> {
        let seconds = self.prefixes.iter().map(|(_, seconds)| *seconds).chain([self.default_s]);
        seconds.filter(|seconds| *seconds > 0).min()
    }

    /// Whether it depends on the address.
    pub fn by_prefix(&self) -> bool {
        !self.prefixes.is_empty()
    }
}

impl FromStr for AgeThresholds {
    type Err = AgeThresholdError;

    fn from_str(text: &str) -> Result<Self, AgeThresholdError> {
        let mut thresholds = AgeThresholds::default();
        for entry in text.split(';').filter(|entry| !entry.is_empty()) {
            let bad = || AgeThresholdError(entry.to_owned());
            // An IPv6 prefix has colons too.
            let (prefix, seconds) =
                entry.rsplit_once(':').map_or((None, entry), |(prefix, seconds)| (Some(prefix), seconds));
            let seconds: u32 = seconds.parse().map_err(|_| bad())?;
            let Some(prefix) = prefix else {
                thresholds.default_s = seconds;
                continue;
            };
            let net = prefix.parse::<IpNet>().or_else(|_| prefix.parse::<IpAddr>().map(IpNet::from));
            let net = net.map_err(|_| bad())?;
            if net.prefix_len() == 0 {
                thresholds.default_s = seconds;
            } else {
                thresholds.prefixes.push((net, seconds));
            }
        }
        thresholds.prefixes.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Ok(thresholds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let text = "10.0.0.0/8:100;10.0.0.0/24:7;10.0.0.9:0;fd00::/64:30;600";
        let thresholds: AgeThresholds = text.parse().unwrap();
        for (ip, seconds) in [
            ("10.0.0.1", Some(7)),
            ("10.0.0.9", None),
            ("10.1.0.1", Some(100)),
            ("192.0.2.1", Some(600)),
            ("fd00::1", Some(30)),
            ("fd01::1", Some(600)),
        ] {
            assert_eq!(thresholds.of(ip.parse().unwrap()), seconds, "{ip}");
        }
        assert_eq!(thresholds.shortest(), Some(7));
        assert!(thresholds.by_prefix());
    }

    #[test]
    fn forms() {
        let shortest = |text: &str| text.parse::<AgeThresholds>().map(|thresholds| thresholds.shortest());
        assert_eq!(shortest("60"), Ok(Some(60)));
        assert_eq!(shortest(""), Ok(None));
        assert_eq!(shortest("0"), Ok(None));
        assert_eq!(shortest("60;;"), Ok(Some(60)));
        assert_eq!(shortest("0.0.0.0/0:5"), Ok(Some(5)));
        for bad in ["x", "-1", "10.0.0.0/33:5", "10.0.0.0/8:", "60;x", " 60", "1.2.3:4"] {
            assert!(shortest(bad).is_err(), "{bad}");
        }
    }
}
