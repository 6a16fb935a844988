//! The network file's rows into a northbound database.

use crate::Error;
use crate::ovsdb::Database;
use kiln_ovsdb::client::Outcome;
use kiln_ovsdb::txn::ErrorClass;
use kiln_topology::{Network, Northbound, Plan, plan};

/// Attempts at a transaction that somebody else's keeps overtaking.
const ATTEMPTS: usize = 5;

/// Makes a northbound database say what a network says, and returns what that changed.
pub(crate) fn apply(database: &Database, network: &Network) -> Result<Plan, Error> {
    for _ in 0..ATTEMPTS {
        // A session of its own for each attempt: it begins with what is there now.
        let mut client = database.open_with(Northbound::monitors(), Northbound::default())?;
        let plan = plan(network, &client.replica)?;
        if plan.is_empty() {
            return Ok(plan);
        }
        let mut txn = client.txn();
        plan.write(&mut txn);
        match client.transact(txn)? {
            Outcome::Committed(_) => return Ok(plan),
            Outcome::Failed(error) if error.class() == ErrorClass::Conflict => {}
            Outcome::Failed(error) => {
                return Err(Error::Database { database: database.name, error: error.to_string() });
            }
            Outcome::Lost | Outcome::NotSent => {}
        }
    }
    let error = format!("somebody else changes the same rows; gave up after {ATTEMPTS} attempts");
    Err(Error::Database { database: database.name, error })
}
