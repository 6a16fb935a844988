//! How many neighbours may be learned (`options:mac_binding_limit` of a router and of a router port), and who gives way.
//!
//! The limit holds however many chassis learn at the same time, because of where rows are put: the uuid of a limited row follows from
//! its router or port and from the number of a slot, and of these there are as many as the limit says. Two chassis that choose the same
//! slot break the uniqueness of uuids, and one of them chooses again.

use crate::bindings::{IDLE_S, Standing, limit};
use crate::outstanding::uuid_of;
use crate::tables::Db;
use kiln_abi::options::mac_binding as option;
use kiln_ovsdb::Text;
use kiln_responder::{NextHop, Renewal};
use kiln_types::{DatapathKey, HashMap, HashSet, PortKey, Uuid};
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A query gives way to another one after this long, in milliseconds: as long as it is repeated.
const QUERY_REST_MS: i64 = 3000;

/// Why a row gives way, the first choice first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Why {
    /// The neighbour was asked for and has not answered.
    Tentative,
    /// It was asked whether it is still there and did not answer.
    Failed,
    /// It was not heard of for long.
    Idle,
}

impl Why {
    pub(crate) const ALL: [Why; 3] = [Why::Tentative, Why::Failed, Why::Idle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Why::Tentative => "tentative",
            Why::Failed => "failed",
            Why::Idle => "idle",
        }
    }
}

/// A row that can give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    pub(crate) next_hop: NextHop,
    pub(crate) standing: Standing,
    pub(crate) why: Why,
}

/// Where a new row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Anywhere: there is no limit.
    Anywhere,
    /// Under this uuid.
    Slot(Uuid),
    /// In the place of another one, whose row it takes over.
    Instead(Victim),
    /// Nowhere.
    Refused,
}

/// What a batch of new rows has taken already.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    on_port: HashMap<(DatapathKey, PortKey), u32>,
    on_router: HashMap<DatapathKey, u32>,
    slots: HashSet<Uuid>,
    /// Those that can still give way, by router, or by port, in the order in which they do.
    victims: HashMap<(DatapathKey, Option<PortKey>), VecDeque<Victim>>,
    gone: HashSet<Uuid>,
}

/// The tables, the time in milliseconds since 1970, and what is known of neighbours' states.
pub(crate) struct View<'a> {
    pub(crate) db: &'a Db,
    pub(crate) wall_ms: i64,
    pub(crate) renewal: &'a Renewal,
}

impl View<'_> {
    fn router_limit(&self, datapath: &Uuid) -> Option<u32> {
        self.db.learns.peek(datapath)?.limit
    }

    fn port_option(&self, name: &Text, key: &str) -> Option<&Text> {
        let row = self.db.port_named.peek(name).first()?;
        self.db.sb.port_binding.peek(row)?.options.get(key)
    }

    pub(crate) fn port_limit(&self, name: &Text) -> Option<u32> {
        limit(self.port_option(name, option::LIMIT))
    }

    /// Whether a neighbour is the next hop of a route.
    fn is_gateway(&self, next_hop: &NextHop, standing: &Standing) -> bool {
        let Some(row) = self.db.sb.mac_binding.peek(&standing.row) else { return false };
        let gateways = self.port_option(&row.logical_port, option::GATEWAYS);
        let mut words = gateways.iter().flat_map(|text| text.split_ascii_whitespace());
        words.any(|word| word.parse::<IpAddr>() == Ok(next_hop.ip))
    }

    fn why(&self, next_hop: &NextHop, standing: &Standing) -> Option<Why> {
        let why = if standing.mac.is_none() {
            Why::Tentative
        } else if self.renewal.has_failed(next_hop) {
            Why::Failed
        } else if self.wall_ms - standing.timestamp_ms >= i64::from(IDLE_S) * 1000 {
            Why::Idle
        } else {
            return None;
        };
        Some(why).filter(|_| !self.is_gateway(next_hop, standing))
    }

    fn victims(&self, datapath: DatapathKey, port: Option<PortKey>) -> VecDeque<Victim> {
        let rows = self.db.bindings.of(datapath, port);
        let mut victims: Vec<Victim> = rows
            .filter_map(|(next_hop, standing)| {
                let why = self.why(next_hop, standing)?;
                Some(Victim { next_hop: *next_hop, standing: *standing, why })
            })
            .collect();
        victims.sort_by_key(|victim| (victim.why, victim.standing.timestamp_ms, victim.next_hop));
        victims.into()
    }

    /// Where the row of a neighbour goes that is on the port `name` of the router `datapath`. A query takes the place of older ones
    /// alone. A slot that turned out to be taken is another one at the next of the `attempts`.
    pub(crate) fn place(
        &self,
        (next_hop, attempts): (&NextHop, u8),
        name: &Text,
        datapath: &Uuid,
        is_query: bool,
        claims: &mut Claims,
    ) -> Place {
        let (of_port, of_router) = (self.port_limit(name), self.router_limit(datapath));
        let port = (next_hop.datapath, next_hop.port);
        let bindings = &self.db.bindings;
        let on_port = bindings.on_port(port.0, port.1) + claims.on_port.get(&port).copied().unwrap_or(0);
        let on_router = bindings.on_router(port.0) + claims.on_router.get(&port.0).copied().unwrap_or(0);
        let port_full = of_port.is_some_and(|limit| on_port >= limit);
        let router_full = of_router.is_some_and(|limit| on_router >= limit);
        let place = match (of_port, of_router) {
            (None, None) => return Place::Anywhere,
            // Whoever gives way to a row of a limited port is of that port, so that it stays in the port's slots.
            _ if port_full || router_full => {
                self.instead(next_hop, of_port.map(|_| next_hop.port), is_query, claims)
            }
            (of_port, of_router) => {
                let place =
                    self.slot((next_hop.ip, attempts), (name, of_port), (datapath, of_router), claims);
                place.unwrap_or_else(|| {
                    self.instead(next_hop, of_port.map(|_| next_hop.port), is_query, claims)
                })
            }
        };
        if let Place::Slot(slot) = place {
            claims.slots.insert(slot);
            *claims.on_port.entry(port).or_insert(0) += 1;
            *claims.on_router.entry(port.0).or_insert(0) += 1;
        }
        place
    }

    fn instead(
        &self,
        next_hop: &NextHop,
        port: Option<PortKey>,
        is_query: bool,
        claims: &mut Claims,
    ) -> Place {
        let scope = (next_hop.datapath, port);
        let victims = claims.victims.entry(scope).or_insert_with(|| self.victims(scope.0, scope.1));
        while let Some(victim) = victims.front() {
            let rests = self.wall_ms - victim.standing.timestamp_ms >= QUERY_REST_MS;
            if is_query && (victim.why != Why::Tentative || !rests) {
                return Place::Refused;
            }
            let victim = *victim;
            victims.pop_front();
            if claims.gone.insert(victim.standing.row) {
                return Place::Instead(victim);
            }
        }
        Place::Refused
    }

    /// A slot that nobody has. Of a router's slots a port with a limit of its own has as many, in a row.
    fn slot(
        &self,
        start: (IpAddr, u8),
        (name, of_port): (&Text, Option<u32>),
        (datapath, of_router): (&Uuid, Option<u32>),
        claims: &Claims,
    ) -> Option<Place> {
        let first = claims.slots.hasher().hash_one(start);
        let whose = of_router.map_or_else(|| name.to_string(), |_| datapath.to_string());
        let slots = of_router.or(of_port)?;
        let (base, len) = match of_port.filter(|len| *len < slots) {
            Some(len) => (uuid_of("slots", &[name]).as_u128() as u64, len),
            None => (0, slots),
        };
        let (slots, len) = (u64::from(slots), u64::from(len));
        (0..len).find_map(|n| {
            let number = (base % slots + (first % len + n) % len) % slots;
            let slot = uuid_of("MAC_Binding", &[&whose, &number.to_string()]);
            let free = self.db.sb.mac_binding.peek(&slot).is_none() && !claims.slots.contains(&slot);
            free.then_some(Place::Slot(slot))
        })
    }
}
