//! What budgets promise, over arbitrary floods.

use kiln_budget::*;
use kiln_types::{DatapathKey, Instant, PortKey};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

fn payer(router: u32, port: u16, source: u32) -> Payer {
    let source = Some(IpAddr::V4(Ipv4Addr::from_bits(source)));
    Payer { router: DatapathKey(router), port: PortKey(port), source }
}

fn limits(class: Class, of: ClassLimits) -> Limits {
    let mut limits = Limits::NONE;
    *limits.of_mut(class) = of;
    limits
}

fn limit(most: u32) -> impl Strategy<Value = Limit> {
    (1..most, 1..most).prop_map(|(rate, burst)| Limit::new(rate, burst))
}

/// Payments of one account with their times in microseconds.
#[derive(Default)]
struct Paid(Vec<u64>);

impl Paid {
    /// In every stretch of time at most rate × time + burst.
    fn check(&self, limit: Limit) {
        for (first, from) in self.0.iter().enumerate() {
            for (last, to) in self.0.iter().enumerate().skip(first) {
                let n = (last - first + 1) as u64;
                let allowed = u64::from(limit.burst) * 1_000_000 + u64::from(limit.rate_pps) * (to - from);
                assert!(n * 1_000_000 <= allowed, "{n} in {} us with {limit:?}", to - from);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_more_than_rate_times_time_plus_burst(
        chassis in limit(60), router in limit(40), port in limit(20), source in limit(10),
        events in proptest::collection::vec((0u64..60_000, 0u32..3, 0u16..4, 0u32..4), 1..400),
    ) {
        let of = ClassLimits { chassis, router, port, source: Some(source) };
        let mut budgets = Budgets::new(limits(Class::Error, of));
        let mut now = Instant::from_secs(1);
        let mut paid: [BTreeMap<(u32, u16, u32), Paid>; 4] = Default::default();
        let mut total = Counts::default();
        for (wait_us, r, p, s) in events {
            now = now + Duration::from_micros(wait_us);
            if budgets.pay(now, Class::Error, &payer(r, p, s)).is_ok() {
                total.paid += 1;
                for (level, key) in [(r, p, s), (r, p, 0), (r, 0, 0), (0, 0, 0)].into_iter().enumerate() {
                    paid[level].entry(key).or_default().0.push(now.as_micros());
                }
            }
        }
        for (accounts, limit) in paid.iter().zip([source, port, router, chassis]) {
            for paid in accounts.values() {
                paid.check(limit);
            }
        }
        prop_assert_eq!(budgets.counts(Class::Error).paid, total.paid);
        let by_port: u64 = budgets.counts_by_port(Class::Error).map(|(_, c)| c.paid + c.refused_in_all()).sum();
        prop_assert_eq!(by_port, total.paid + budgets.counts(Class::Error).refused_in_all());
    }

    /// Whoever stays below a fair part of what is shared is never refused, whatever the others do.
    #[test]
    fn a_flood_never_takes_anothers_share(
        burst in 40u32..400, fill_ms in 200u64..4000, floods in 1u16..9, same_router: bool,
        bursts in proptest::collection::vec((0u64..50_000, 1u32..40), 50..200),
    ) {
        let rate = (u64::from(burst) * 1000 / fill_ms).max(1) as u32;
        let shared = Limit::new(rate, burst);
        let of = ClassLimits { chassis: shared, router: shared, port: Limit::NONE, source: None };
        let mut budgets = Budgets::new(limits(Class::Reset, of));
        let router = |port: u16| if same_router { 1 } else { u32::from(port) };
        // half of what each would get if all had the same
        let pace = Duration::from_micros(2_000_000 * (u64::from(floods) + 1) / u64::from(rate));
        let mut now = Instant::from_secs(1);
        let mut next = now;
        let mut served = 0;
        for (wait_us, n) in bursts {
            let until = now + Duration::from_micros(wait_us);
            while next <= until {
                let result = budgets.pay(next, Class::Reset, &payer(router(0), 0, 0));
                prop_assert_eq!(result, Ok(()), "after {} that were served", served);
                served += 1;
                next = next + pace;
            }
            now = until;
            for _ in 0..n {
                for port in 1..=floods {
                    let _ = budgets.pay(now, Class::Reset, &payer(router(port), port, 0));
                }
            }
        }
    }

    #[test]
    fn accounts_are_bounded_and_forgotten(
        events in proptest::collection::vec((0u32..4000, any::<u16>(), any::<u32>(), 0u64..1000), 1000..6000),
    ) {
        let mut budgets = Budgets::new(Limits::default());
        let mut now = Instant::from_secs(1);
        for (router, port, source, wait_us) in events {
            now = now + Duration::from_micros(wait_us);
            let _ = budgets.pay(now, Class::Error, &payer(router, port, source));
        }
        let tracked = budgets.tracked();
        prop_assert!(tracked.routers <= MAX_ROUTERS && tracked.ports <= MAX_PORTS);
        prop_assert!(tracked.sources <= MAX_PORTS * MAX_SOURCES);
        budgets.forget(|_, _| true);
        prop_assert_eq!(budgets.tracked(), Tracked::default());
    }
}

/// Sends as fast as it can for a while; how many of each port's packets pass in the last second.
fn passed(of: ClassLimits, ports: u16, secs: u64) -> Vec<u32> {
    let mut budgets = Budgets::new(limits(Class::Error, of));
    let mut passed = vec![0; usize::from(ports)];
    for us in (0..secs * 1_000_000).step_by(200) {
        for port in 0..ports {
            let payer = Payer { source: None, ..payer(1, port, 0) };
            let result = budgets.pay(Instant::from_micros(us), Class::Error, &payer);
            if result.is_ok() && us >= (secs - 1) * 1_000_000 {
                passed[usize::from(port)] += 1;
            }
        }
    }
    passed
}

#[test]
fn one_alone_has_the_whole_rate_and_many_have_equal_parts() {
    let shared = Limit::new(1000, 1000);
    let of = ClassLimits { chassis: shared, router: shared, port: Limit::NONE, source: None };
    let alone = passed(of, 1, 8)[0];
    assert!((990..=1000).contains(&alone), "{alone}");
    let many = passed(of, 10, 8);
    assert!(many.iter().all(|n| (95..=105).contains(n)), "{many:?}");
}

#[test]
fn a_spoofing_port_is_its_own_victim() {
    let mut budgets = Budgets::new(Limits::default());
    let limits = *Limits::default().of(Class::Error);
    let now = Instant::from_secs(1);
    assert_eq!(budgets.pay(now, Class::Error, &payer(1, 1, 0)), Ok(()));
    let passed = (1..100_000).filter(|n| budgets.pay(now, Class::Error, &payer(1, 1, *n)).is_ok()).count();
    assert!(passed <= limits.port.burst as usize, "{passed}");
    let traceroute = (0..30).filter(|_| budgets.pay(now, Class::Error, &payer(1, 1, 0)).is_ok()).count();
    assert_eq!(traceroute, 30, "an honest source of the same port, which was there first");
    assert_eq!(budgets.tracked(), Tracked { routers: 1, ports: 1, sources: MAX_SOURCES });
    assert_eq!(budgets.pay(now, Class::Error, &payer(1, 2, 7)), Ok(()), "another port of the router");
    // a traceroute through 30 hops with 3 probes each meets none of the limits
    assert!((0..90).all(|hop| budgets.pay(now, Class::Error, &payer(2 + hop, 3, 8)).is_ok()));
}

#[test]
fn refusals_name_the_level() {
    let tight = Limit::new(1, 2);
    let wide = ClassLimits { source: Some(Limit::NONE), ..ClassLimits::NONE };
    let rows = [
        (ClassLimits { source: Some(tight), ..wide }, Level::Source),
        (ClassLimits { port: tight, source: None, ..wide }, Level::Port),
        (ClassLimits { router: tight, ..wide }, Level::Router),
        (ClassLimits { chassis: tight, ..wide }, Level::Chassis),
    ];
    for (of, level) in rows {
        let mut budgets = Budgets::new(limits(Class::Dns, of));
        let now = Instant::from_secs(1);
        let results: Vec<_> = (0..5).map(|_| budgets.pay(now, Class::Dns, &payer(1, 1, 1))).collect();
        assert_eq!(results[0], Ok(()), "{level:?}");
        assert_eq!(results[4], Err(level));
        let counts = budgets.counts(Class::Dns);
        assert_eq!(counts.paid + counts.refused(level), 5);
        assert_eq!(budgets.pay(now, Class::Rest, &payer(1, 1, 1)), Ok(()), "classes are apart");
    }
}

/// A port that had much of a wide limit is not kept from its share of a narrow one.
#[test]
fn limits_that_change_begin_anew() {
    let class = Class::Error;
    let wide = ClassLimits { chassis: Limit::new(1000, 1000), ..ClassLimits::NONE };
    let narrow = ClassLimits { chassis: Limit::new(1, 4), ..ClassLimits::NONE };
    let mut budgets = Budgets::new(limits(class, wide));
    let now = Instant::from_secs(1);
    let paid = |budgets: &mut Budgets, tries: usize| {
        (0..tries).filter(|_| budgets.pay(now, class, &payer(1, 1, 1)).is_ok()).count()
    };
    assert_eq!(paid(&mut budgets, 100), 100);
    budgets.set_limits(limits(class, narrow));
    assert_eq!(paid(&mut budgets, 100), 2, "half of what is there, since others may come");
    budgets.set_limits(limits(class, narrow));
    assert_eq!(paid(&mut budgets, 100), 0, "nothing has changed");
    budgets.set_limits(limits(class, wide));
    assert_eq!(paid(&mut budgets, 100), 100);
    let counted: Vec<_> = budgets.counts_by_port(class).filter(|(port, _)| port.is_some()).collect();
    assert_eq!(counted[0].1.paid, 202, "what was counted stays");
}
