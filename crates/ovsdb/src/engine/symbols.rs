//! Uuids for new rows, and the names that a transaction gives them (`uuid-name`, RFC 7047 section 5.2.1).

use std::collections::hash_map::Entry;

use kiln_types::{HashMap, Rng, Uuid};

use super::{Error, ErrorKind};
use crate::value::Names;

/// A random uuid (RFC 9562 section 5.4).
pub(crate) fn random_uuid(rng: &mut Rng) -> Uuid {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0x3 << 62;
    Uuid::from_u128(rng.u128(..) & !(VERSION | VARIANT) | 0x4 << 76 | 0x2 << 62)
}

/// The names of one transaction. A name may be referred to before, or without, the insert that bears it.
pub(super) struct Symbols {
    names: HashMap<String, Symbol>,
    rng: Rng,
}

struct Symbol {
    uuid: Uuid,
    inserted: bool,
}

impl Symbols {
    pub(super) fn new(rng: Rng) -> Self {
        Symbols { names: HashMap::default(), rng }
    }

    /// The uuid of a row to insert, from what its operation says of it.
    pub(super) fn of_insert(&mut self, uuid: Option<Uuid>, name: Option<&str>) -> Result<Uuid, Error> {
        let Some(name) = name else {
            return Ok(uuid.unwrap_or_else(|| random_uuid(&mut self.rng)));
        };
        let symbol = match self.names.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Symbol { uuid: random_uuid(&mut self.rng), inserted: false })
            }
        };
        if symbol.inserted {
            let details = format!("an earlier insert of this transaction has uuid-name {name} already");
            return Err(Error::new(ErrorKind::DuplicateUuidName, details));
        }
        symbol.inserted = true;
        symbol.uuid = uuid.unwrap_or(symbol.uuid);
        Ok(symbol.uuid)
    }
}

impl Names for Symbols {
    fn uuid(&mut self, name: &str) -> Option<Uuid> {
        if let Some(symbol) = self.names.get(name) {
            return Some(symbol.uuid);
        }
        let uuid = random_uuid(&mut self.rng);
        self.names.insert(name.to_owned(), Symbol { uuid, inserted: false });
        Some(uuid)
    }
}
