//! Plans and conflicts in words.

use super::plan::{Change, ChangeKind, Conflict, Conflicts, Plan};
use std::fmt;

impl fmt::Display for Plan {
    /// A line for each row that comes (`+`), changes (`~`) or goes (`-`), then the count of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        let count = |kind| self.changes.iter().filter(|change| change.kind == kind).count();
        let (added, changed) = (count(ChangeKind::Added), count(ChangeKind::Changed));
        let removed = count(ChangeKind::Removed);
        if added + changed + removed == 0 {
            return f.write_str("nothing to change");
        }
        write!(f, "{added} to add, {changed} to change, {removed} to remove")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Removed => '-',
        };
        write!(f, "{sign} {}", self.table.noun())?;
        if !self.label.is_empty() {
            write!(f, " {}", self.label)?;
        }
        if let Some(holder) = &self.holder {
            let kind = self.table.holder().map_or("", |(table, _)| table.noun());
            write!(f, " of {kind} {holder}")?;
        }
        let mut separator = ": ";
        for (column, old, new) in &self.columns {
            match self.kind {
                ChangeKind::Added => write!(f, "{separator}{column} {new}")?,
                _ => write!(f, "{separator}{column} {old} -> {new}")?,
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Taken { table, label, owner: Some(owner) } => {
                write!(f, "{} {label} belongs to the network `{owner}`", table.noun())
            }
            Conflict::Taken { table, label, owner: None } => {
                write!(f, "{} {label} is there already and was not made from a network file", table.noun())
            }
            Conflict::Holds { table, label, held } => {
                let held = held.join(", ");
                write!(f, "{} {label} is to go, but holds what is not of this network: {held}", table.noun())
            }
        }
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, conflict) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{conflict}")?;
        }
        Ok(())
    }
}
