//! What was sent lately, in case the peer refuses some of it.

use crate::msg::Xid;
use std::collections::VecDeque;

/// The latest messages under consecutive ids, in one ring of bytes. The oldest make room.
#[derive(Debug)]
pub(super) struct SentLog {
    bytes: VecDeque<u8>,
    /// Length of each message in `bytes`, oldest first, with its id.
    messages: VecDeque<Sent>,
    /// Where the oldest message starts, counted over everything that was ever in the ring.
    origin: u64,
    max_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    xid: Xid,
    start: u64,
    len: u32,
}

impl SentLog {
    pub(super) fn new(max_bytes: usize) -> SentLog {
        SentLog { bytes: VecDeque::new(), messages: VecDeque::new(), origin: 0, max_bytes }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
        self.origin = 0;
    }

    /// Adds a message. One that is longer than the whole ring is not kept.
    pub(super) fn push(&mut self, xid: Xid, message: &[u8]) {
        if message.len() > self.max_bytes {
            return;
        }
        while self.bytes.len() + message.len() > self.max_bytes && self.pop().is_some() {}
        let start = self.origin + self.bytes.len() as u64;
        self.bytes.extend(message);
        self.messages.push_back(Sent { xid, start, len: message.len() as u32 });
    }

    fn pop(&mut self) -> Option<Xid> {
        let sent = self.messages.pop_front()?;
        let end = (sent.start - self.origin) as usize + sent.len as usize;
        self.bytes.drain(..end);
        self.origin += end as u64;
        Some(sent.xid)
    }

    /// The message of this id.
    pub(super) fn get(&self, xid: Xid) -> Option<Box<[u8]>> {
        let at = self.position(xid)?;
        let Sent { start, len, .. } = self.messages[at];
        let start = (start - self.origin) as usize;
        Some(self.bytes.range(start..start + len as usize).copied().collect())
    }

    /// Ids go up from the oldest message, so its distance orders them.
    fn position(&self, xid: Xid) -> Option<usize> {
        let oldest = self.messages.front()?.xid.0;
        let distance = |xid: Xid| xid.0.wrapping_sub(oldest);
        let at = self.messages.partition_point(|m| distance(m.xid) < distance(xid));
        (self.messages.get(at)?.xid == xid).then_some(at)
    }

    /// Forgets this message and all before it: the peer is done with them.
    pub(super) fn forget_through(&mut self, xid: Xid) {
        if self.position(xid).is_some() {
            while self.pop().is_some_and(|popped| popped != xid) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut log = SentLog::new(10);
        log.push(Xid(u32::MAX), b"aaaa");
        log.push(Xid(1), b"bbbb");
        assert_eq!(log.get(Xid(u32::MAX)).as_deref(), Some(&b"aaaa"[..]));
        log.push(Xid(2), b"cccc");
        assert_eq!(log.get(Xid(u32::MAX)), None);
        assert_eq!(log.get(Xid(1)).as_deref(), Some(&b"bbbb"[..]));
        assert_eq!(log.get(Xid(2)).as_deref(), Some(&b"cccc"[..]));
        assert_eq!(log.get(Xid(3)), None);
        log.push(Xid(3), b"longer than all");
        assert_eq!(log.get(Xid(3)), None);
        log.forget_through(Xid(1));
        assert_eq!(log.get(Xid(1)), None);
        assert_eq!(log.get(Xid(2)).as_deref(), Some(&b"cccc"[..]));
        log.forget_through(Xid(7));
        assert_eq!(log.get(Xid(2)).as_deref(), Some(&b"cccc"[..]));
    }
}
