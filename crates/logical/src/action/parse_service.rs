//! Actions that ask the controller or the switch for a service: logs, meters, queues, events, samples.

use super::parse::ActionParser;
use super::{Action, EventArgument, Log, ObsPoint, Sample, Severity, Verdict};
use crate::error::{Error, shown};
use crate::token::{Op, Token};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The highest queue number.
const MAX_QUEUE: u64 = 61440;
/// The most bytes of an ACL's name in the log.
const MAX_LOG_NAME: usize = 64;
/// Width of a sample's observation point in bits.
const OBS_POINT_WIDTH: u8 = 32;

impl<'a> ActionParser<'a, '_> {
    pub(super) fn set_queue(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let queue = self.p.integer_up_to(MAX_QUEUE, &format!("a queue number of at most {MAX_QUEUE}"))?;
        self.p.expect(Op::RParen)?;
        Ok(Action::SetQueue(queue as u32))
    }

    pub(super) fn set_meter(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let column = self.p.column;
        let rate_kbps = self.u32("a rate in kbps")?;
        if rate_kbps == 0 {
            return Err(Error::new(column, "expected a rate above 0, found 0"));
        }
        let burst_kb = if self.p.accept(Op::Comma)? {
            Some(self.p.number_up_to(u64::from(u32::MAX), "a burst in kb")? as u32)
        } else {
            None
        };
        self.p.expect(Op::RParen)?;
        Ok(Action::SetMeter { rate_kbps, burst_kb })
    }

    pub(super) fn log(&mut self) -> Result<Action<'a>, Error> {
        let (mut name, mut verdict, mut severity, mut meter) = (None, None, None, None);
        self.p.expect(Op::LParen)?;
        while !self.p.accept(Op::RParen)? {
            let Token::Id(argument) = self.p.token else { return Err(self.p.expected("an argument of log")) };
            let known = matches!(argument, "name" | "verdict" | "severity" | "meter");
            if !known {
                return Err(self.p.expected("`name', `verdict', `severity' or `meter'"));
            }
            self.p.take()?;
            self.p.expect(Op::Assign)?;
            match argument {
                "name" => {
                    let column = self.p.column;
                    let text = self.p.string("a name, in quotes")?;
                    if text.len() >= MAX_LOG_NAME {
                        let message = format!("expected a name of fewer than {MAX_LOG_NAME} bytes");
                        return Err(Error::new(column, message));
                    }
                    name = Some(text);
                }
                "meter" => meter = Some(self.p.string("a meter's name, in quotes")?),
                "verdict" => verdict = Some(self.word(Verdict::from_name, "a verdict")?),
                _ => severity = Some(self.word(Severity::from_name, "a severity")?),
            }
            self.p.accept(Op::Comma)?;
        }
        let Some(verdict) = verdict else {
            return Err(self.p.expected("a verdict among the arguments of log"));
        };
        let severity = severity.unwrap_or(Severity::Info);
        Ok(Action::Log(Box::new(Log { name, verdict, severity, meter })))
    }

    fn word<T>(&mut self, from_name: fn(&str) -> Option<T>, what: &str) -> Result<T, Error> {
        let Token::Id(name) = self.p.token else { return Err(self.p.expected(what)) };
        let value = from_name(name).ok_or_else(|| self.p.expected(what))?;
        self.p.take()?;
        Ok(value)
    }

    pub(super) fn trigger_event(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        if !self.p.accept_id("event")? {
            return Err(self.p.expected("`event'"));
        }
        self.p.expect(Op::Assign)?;
        let column = self.p.column;
        let event = self.p.string("an event's name, in quotes")?;
        if event != "empty_lb_backends" {
            return Err(Error::new(
                column,
                format!("expected event \"empty_lb_backends\", found {:?}", shown(&event)),
            ));
        }
        let mut given = Vec::new();
        let column = self.p.column;
        self.p.accept(Op::Comma)?;
        while !self.p.accept(Op::RParen)? {
            let argument = self.event_argument()?;
            given.push(argument);
            self.p.accept(Op::Comma)?;
        }
        let all = [EventArgument::Vip, EventArgument::Protocol, EventArgument::LoadBalancer];
        if !all.iter().all(|wanted| given.iter().any(|(argument, _)| argument == wanted)) {
            return Err(Error::new(column, "expected vip, protocol and load_balancer after the event"));
        }
        Ok(Action::TriggerEvent(given))
    }

    fn event_argument(&mut self) -> Result<(EventArgument, Cow<'a, str>), Error> {
        let argument = self.word(EventArgument::from_name, "`vip', `protocol' or `load_balancer'")?;
        self.p.expect(Op::Assign)?;
        let column = self.p.column;
        let value = self.p.string("a text, in quotes")?;
        check_event_argument(argument, &value).map_err(|message| Error::new(column, message))?;
        Ok((argument, value))
    }

    pub(super) fn bind_vport(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let vport = self.p.string("a port name, in quotes")?;
        self.p.expect(Op::Comma)?;
        let parent = self.port_field()?;
        self.p.expect(Op::RParen)?;
        Ok(Action::BindVport { vport, parent })
    }

    pub(super) fn handle_svc_check(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let port = self.port_field()?;
        self.p.expect(Op::RParen)?;
        Ok(Action::HandleSvcCheck(port))
    }

    pub(super) fn sample(&mut self) -> Result<Action<'a>, Error> {
        let column = self.p.column;
        let mut sample =
            Sample { probability: 0, collector_set: 0, obs_domain: 0, obs_point: ObsPoint::Number(0) };
        self.p.expect(Op::LParen)?;
        while !self.p.accept(Op::RParen)? {
            let Token::Id(name) = self.p.token else { return Err(self.p.expected("an argument of sample")) };
            if !matches!(name, "probability" | "collector_set" | "obs_domain" | "obs_point") {
                return Err(self.p.expected("`probability', `collector_set', `obs_domain' or `obs_point'"));
            }
            self.p.take()?;
            self.p.expect(Op::Assign)?;
            match name {
                "probability" => sample.probability = self.u16("a probability of at most 65535")?,
                "collector_set" => sample.collector_set = self.u32("a collector set's number")?,
                "obs_domain" => {
                    sample.obs_domain = self.p.integer_up_to(255, "an observation domain of 8 bits")? as u8;
                }
                _ => sample.obs_point = self.obs_point()?,
            }
            self.p.accept(Op::Comma)?;
        }
        if sample.probability == 0 {
            return Err(Error::new(column, "expected a probability above 0"));
        }
        Ok(Action::Sample(sample))
    }

    fn obs_point(&mut self) -> Result<ObsPoint, Error> {
        match self.p.token {
            Token::Int(_) => Ok(ObsPoint::Number(self.u32("an observation point of 32 bits")?)),
            // Lexically an address set.
            Token::AddressSet("cookie") => {
                self.p.take()?;
                Ok(ObsPoint::Cookie)
            }
            _ => Ok(ObsPoint::Field(self.read_field_of(OBS_POINT_WIDTH)?)),
        }
    }
}

fn check_event_argument(argument: EventArgument, value: &str) -> Result<(), String> {
    let (good, expected) = match argument {
        EventArgument::Vip => (is_vip(value), "an address, perhaps with a port"),
        EventArgument::Protocol => (super::Protocol::from_name(value).is_some(), "protocol tcp, udp or sctp"),
        EventArgument::LoadBalancer => {
            (kiln_types::Uuid::try_parse(value).is_ok(), "the load balancer's uuid")
        }
    };
    if good { Ok(()) } else { Err(format!("expected {expected}, found {:?}", shown(value))) }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn is_vip(text: &str) -> bool {
    let bracketed = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() || bracketed(text).is_some()
}
