//! Sending packets to a controller.

use super::encode::{finish, nx, start_nx};
use crate::prop;
use crate::wire::{self, Put, Reader, TooLong};

/// `controller(..)`: sends the packet to a controller, perhaps with data that the controller gets back, perhaps
/// pausing the pipeline until the controller resumes it (ovs-actions(7), "The controller action").
///
/// ```text
///  0                   1                   2                   3
///  +-------------------------------+-------------------------------+
///  |             ffff              |            length             |
///  +-------------------------------+-------------------------------+
///  |                          0000 2320                            |
///  +-------------------------------+-------------------------------+
///  |              37               |              0                |
///  +-------------------------------+-------------------------------+
///  |                               0                               |
///  +---------------------------------------------------------------+
///  |  properties: 0 max_len, 1 id, 2 reason, 3 userdata, 4 pause,  |
///  |  5 meter                                                      |
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Controller {
    /// Bytes of the packet; 0xffff is all of them.
    pub max_len: u16,
    /// Which controllers.
    pub controller_id: u16,
    /// Why, as the packet-in will say; 1 is "an action".
    pub reason: u8,
    /// What the packet-in carries back.
    pub userdata: Box<[u8]>,
    /// Whether the pipeline waits for a resume.
    pub pause: bool,
    /// The meter that limits such packets.
    pub meter_id: Option<u32>,
}

impl Default for Controller {
    fn default() -> Self {
        Controller {
            max_len: u16::MAX,
            controller_id: 0,
            reason: Controller::REASON_ACTION,
            userdata: Box::default(),
            pause: false,
            meter_id: None,
        }
    }
}

/// Numbers of the properties.
mod property {
    pub(super) const MAX_LEN: u16 = 0;
    pub(super) const CONTROLLER_ID: u16 = 1;
    pub(super) const REASON: u16 = 2;
    pub(super) const USERDATA: u16 = 3;
    pub(super) const PAUSE: u16 = 4;
    pub(super) const METER_ID: u16 = 5;
}

impl Controller {
    /// The reason of packets that an action sends.
    pub const REASON_ACTION: u8 = 1;

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.userdata.is_empty() && !self.pause && self.meter_id.is_none() {
            return self.put_old(out);
        }
        let at = start_nx(out, nx::CONTROLLER2);
        out.put_zeros(6);
        if self.max_len != u16::MAX {
            prop::put_u16(out, property::MAX_LEN, self.max_len);
        }
        if self.controller_id != 0 {
            prop::put_u16(out, property::CONTROLLER_ID, self.controller_id);
        }
        if self.reason != Controller::REASON_ACTION {
            prop::put_u8(out, property::REASON, self.reason);
        }
        if !self.userdata.is_empty() {
            prop::put_bytes(out, property::USERDATA, &self.userdata);
        }
        if self.pause {
            prop::put_flag(out, property::PAUSE);
        }
        if let Some(id) = self.meter_id {
            prop::put_u32(out, property::METER_ID, id);
        }
        finish(out, at)
    }

    /// The older form, which has room for neither data, pause nor meter.
    fn put_old(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, nx::CONTROLLER);
        out.put_u16(self.max_len);
        out.put_u16(self.controller_id);
        out.put_u8(self.reason);
        finish(out, at)
    }

    pub(super) fn read_old(r: &mut Reader<'_>) -> wire::Result<Controller> {
        Ok(Controller {
            max_len: r.u16()?,
            controller_id: r.u16()?,
            reason: r.u8()?,
            ..Controller::default()
        })
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<Controller> {
        let mut c = Controller::default();
        r.skip(6)?;
        while let Some(mut p) = prop::next(r)? {
            match p.typ {
                property::MAX_LEN => c.max_len = p.u16()?,
                property::CONTROLLER_ID => c.controller_id = p.u16()?,
                property::REASON => c.reason = p.u8()?,
                property::USERDATA => c.userdata = p.bytes().into(),
                property::PAUSE => c.pause = true,
                property::METER_ID => c.meter_id = Some(p.u32()?),
                _ => return Err(p.unknown()),
            }
        }
        Ok(c)
    }
}
