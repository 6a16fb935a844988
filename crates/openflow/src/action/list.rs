//! Lists of actions in their compact form.

use super::{Action, decode};
use crate::error::ErrorCode;
use crate::version::Version;
use crate::wire::{self, Reader, TooLong};
use std::fmt;

/// What one action seldom exceeds, in bytes: setting a field of 64 bits.
const USUAL_LEN: usize = 24;

/// A list of actions, kept as OpenFlow 1.5 encodes it, in the canonical spelling.
///
/// Equal lists have equal bytes. Nothing longer than [`Actions::MAX_LEN`] can be made, so that an instruction of a
/// flow mod always holds it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Actions {
    bytes: Box<[u8]>,
}

impl Actions {
    /// The most bytes that a list may have: an instruction's length field counts 8 more, and lengths are multiples
    /// of 8.
    pub const MAX_LEN: usize = 0xfff8 - 8;

    /// No actions: the packet is dropped.
    pub fn none() -> Actions {
        Actions::default()
    }

    /// The list of these actions.
    pub fn encode<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Result<Actions, TooLong> {
        let actions = actions.into_iter();
        let mut bytes = Vec::with_capacity(USUAL_LEN * actions.size_hint().0);
        for action in actions {
            action.put(Version::V1_5, &mut bytes)?;
        }
        Actions::from_canonical(bytes)
    }

    pub(super) fn from_canonical(bytes: Vec<u8>) -> Result<Actions, TooLong> {
        if bytes.len() > Actions::MAX_LEN {
            return Err(TooLong { what: "list of actions", len: bytes.len(), max: Actions::MAX_LEN });
        }
        Ok(Actions { bytes: bytes.into() })
    }

    /// Reads a list that fills `bytes`, in the form of `version` and in any spelling.
    pub fn decode(version: Version, bytes: &[u8]) -> wire::Result<Actions> {
        let mut r = Reader::new(bytes, "actions", ErrorCode::ACTION_BAD_LEN);
        decode::list_from_wire(&mut r, version)
    }

    /// These actions, and then this list.
    pub fn after(&self, first: impl IntoIterator<Item = Action>) -> Result<Actions, TooLong> {
        let first = first.into_iter();
        let most = first.size_hint().1.unwrap_or(0).saturating_mul(USUAL_LEN);
        let mut bytes = Vec::with_capacity(most + self.bytes.len());
        for action in first {
            action.put(Version::V1_5, &mut bytes)?;
        }
        bytes.extend_from_slice(&self.bytes);
        Actions::from_canonical(bytes)
    }

    /// The bytes in the form of OpenFlow 1.5.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The actions, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes }
    }

    /// Appends the list in the form of `version`.
    pub fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if version == Version::V1_5 {
            out.extend_from_slice(&self.bytes);
            return Ok(());
        }
        self.iter().try_for_each(|action| action.put(version, out))
    }
}

impl TryFrom<&[Action]> for Actions {
    type Error = TooLong;
    fn try_from(actions: &[Action]) -> Result<Actions, TooLong> {
        Actions::encode(actions)
    }
}

impl<const N: usize> TryFrom<[Action; N]> for Actions {
    type Error = TooLong;
    fn try_from(actions: [Action; N]) -> Result<Actions, TooLong> {
        Actions::encode(&actions)
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The actions of a list.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl Iterator for Iter<'_> {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        if self.rest.is_empty() {
            return None;
        }
        let mut r = Reader::new(self.rest, "actions", ErrorCode::ACTION_BAD_LEN);
        let action = decode::read_action(&mut r, Version::V1_5, 0);
        // A list can be made from an action that no switch takes, such as one with bits beyond a field's width. What
        // cannot be read back is handed out as it would be sent.
        let (action, rest) = match action {
            Ok(action) => (action, r.peek_rest()),
            Err(_) => {
                let len = usize::from(u16::from_be_bytes([self.rest[2], self.rest[3]]));
                let (raw, rest) = self.rest.split_at(len.clamp(4, self.rest.len()));
                (Action::Unknown(raw.into()), rest)
            }
        };
        self.rest = rest;
        Some(action)
    }
}

impl<'a> IntoIterator for &'a Actions {
    type Item = Action;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
