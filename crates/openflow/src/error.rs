//! OpenFlow error types and codes (OpenFlow 1.5.1, section 7.5.4) and Nicira's.

use std::fmt;

/// What went wrong, as OpenFlow numbers it.
///
/// `typ` [`ErrorCode::EXPERIMENTER`] stands for Nicira's errors, `code` being their number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode {
    /// `OFPET_*`.
    pub typ: u16,
    /// The code within the type.
    pub code: u16,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $konst:ident = ($typ:expr, $code:literal), $name:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $konst: ErrorCode = ErrorCode { typ: $typ, code: $code };)*

            /// The name that the specification or Open vSwitch gives it.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(ErrorCode::$konst => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

impl ErrorCode {
    /// The error type of experimenters.
    pub const EXPERIMENTER: u16 = 0xffff;
}

const NX: u16 = ErrorCode::EXPERIMENTER;

codes! {
    /// No OpenFlow version in common.
    HELLO_INCOMPATIBLE = (0, 0), "OFPHFC_INCOMPATIBLE";
    /// A message of a version that was not negotiated.
    REQUEST_BAD_VERSION = (1, 0), "OFPBRC_BAD_VERSION";
    /// An unknown message type.
    REQUEST_BAD_TYPE = (1, 1), "OFPBRC_BAD_TYPE";
    /// An unknown multipart type.
    REQUEST_BAD_STAT = (1, 2), "OFPBRC_BAD_STAT";
    /// An unknown experimenter.
    REQUEST_BAD_EXPERIMENTER = (1, 3), "OFPBRC_BAD_EXPERIMENTER";
    /// An unknown experimenter message.
    REQUEST_BAD_EXPERIMENTER_TYPE = (1, 4), "OFPBRC_BAD_EXPERIMENTER_TYPE";
    /// Not permitted.
    REQUEST_PERM = (1, 5), "OFPBRC_EPERM";
    /// A message of the wrong length.
    REQUEST_BAD_LEN = (1, 6), "OFPBRC_BAD_LEN";
    /// No such buffered packet.
    REQUEST_BUFFER_UNKNOWN = (1, 8), "OFPBRC_BUFFER_UNKNOWN";
    /// No such table.
    REQUEST_BAD_TABLE_ID = (1, 9), "OFPBRC_BAD_TABLE_ID";
    /// No such port.
    REQUEST_BAD_PORT = (1, 11), "OFPBRC_BAD_PORT";
    /// A packet that cannot be one.
    REQUEST_BAD_PACKET = (1, 12), "OFPBRC_BAD_PACKET";
    /// A multipart request longer than the receiver keeps.
    REQUEST_MULTIPART_OVERFLOW = (1, 13), "OFPBRC_MULTIPART_BUFFER_OVERFLOW";
    /// An unknown action.
    ACTION_BAD_TYPE = (2, 0), "OFPBAC_BAD_TYPE";
    /// An action of the wrong length.
    ACTION_BAD_LEN = (2, 1), "OFPBAC_BAD_LEN";
    /// An unknown experimenter's action.
    ACTION_BAD_EXPERIMENTER = (2, 2), "OFPBAC_BAD_EXPERIMENTER";
    /// An unknown action of a known experimenter.
    ACTION_BAD_EXPERIMENTER_TYPE = (2, 3), "OFPBAC_BAD_EXP_TYPE";
    /// An output to a port that cannot be.
    ACTION_BAD_OUT_PORT = (2, 4), "OFPBAC_BAD_OUT_PORT";
    /// An argument out of range.
    ACTION_BAD_ARGUMENT = (2, 5), "OFPBAC_BAD_ARGUMENT";
    /// Too many actions.
    ACTION_TOO_MANY = (2, 7), "OFPBAC_TOO_MANY";
    /// No such group.
    ACTION_BAD_OUT_GROUP = (2, 9), "OFPBAC_BAD_OUT_GROUP";
    /// An action that the flow's match does not allow.
    ACTION_MATCH_INCONSISTENT = (2, 10), "OFPBAC_MATCH_INCONSISTENT";
    /// An unknown tag.
    ACTION_BAD_TAG = (2, 12), "OFPBAC_BAD_TAG";
    /// `set_field` of an unknown field.
    ACTION_BAD_SET_TYPE = (2, 13), "OFPBAC_BAD_SET_TYPE";
    /// `set_field` with a length that is not the field's.
    ACTION_BAD_SET_LEN = (2, 14), "OFPBAC_BAD_SET_LEN";
    /// `set_field` of a value that the field cannot hold, or of a field that may not be written.
    ACTION_BAD_SET_ARGUMENT = (2, 15), "OFPBAC_BAD_SET_ARGUMENT";
    /// `set_field` with value bits outside the mask.
    ACTION_BAD_SET_MASK = (2, 16), "OFPBAC_BAD_SET_MASK";
    /// An unknown instruction.
    INSTRUCTION_UNKNOWN = (3, 0), "OFPBIC_UNKNOWN_INST";
    /// No such table to go to.
    INSTRUCTION_BAD_TABLE_ID = (3, 2), "OFPBIC_BAD_TABLE_ID";
    /// An instruction of an unknown experimenter.
    INSTRUCTION_BAD_EXPERIMENTER = (3, 5), "OFPBIC_BAD_EXPERIMENTER";
    /// An instruction of the wrong length.
    INSTRUCTION_BAD_LEN = (3, 7), "OFPBIC_BAD_LEN";
    /// The same instruction twice.
    INSTRUCTION_DUP = (3, 9), "OFPBIC_DUP_INST";
    /// An unknown match type.
    MATCH_BAD_TYPE = (4, 0), "OFPBMC_BAD_TYPE";
    /// A field of the wrong length.
    MATCH_BAD_LEN = (4, 1), "OFPBMC_BAD_LEN";
    /// Value bits outside the mask.
    MATCH_BAD_WILDCARDS = (4, 5), "OFPBMC_BAD_WILDCARDS";
    /// An unknown field.
    MATCH_BAD_FIELD = (4, 6), "OFPBMC_BAD_FIELD";
    /// A value that the field cannot hold.
    MATCH_BAD_VALUE = (4, 7), "OFPBMC_BAD_VALUE";
    /// A mask on a field that takes none.
    MATCH_BAD_MASK = (4, 8), "OFPBMC_BAD_MASK";
    /// A field without what it needs.
    MATCH_BAD_PREREQ = (4, 9), "OFPBMC_BAD_PREREQ";
    /// The same bits twice.
    MATCH_DUP_FIELD = (4, 10), "OFPBMC_DUP_FIELD";
    /// A flow mod that failed for a reason without a code.
    FLOW_MOD_UNKNOWN = (5, 0), "OFPFMFC_UNKNOWN";
    /// The table is full.
    FLOW_MOD_TABLE_FULL = (5, 1), "OFPFMFC_TABLE_FULL";
    /// No such table.
    FLOW_MOD_BAD_TABLE_ID = (5, 2), "OFPFMFC_BAD_TABLE_ID";
    /// It overlaps another flow.
    FLOW_MOD_OVERLAP = (5, 3), "OFPFMFC_OVERLAP";
    /// An unknown command.
    FLOW_MOD_BAD_COMMAND = (5, 6), "OFPFMFC_BAD_COMMAND";
    /// An unknown flag.
    FLOW_MOD_BAD_FLAGS = (5, 7), "OFPFMFC_BAD_FLAGS";
    /// The group is there already.
    GROUP_MOD_GROUP_EXISTS = (6, 0), "OFPGMFC_GROUP_EXISTS";
    /// A group that cannot be.
    GROUP_MOD_INVALID_GROUP = (6, 1), "OFPGMFC_INVALID_GROUP";
    /// No more groups.
    GROUP_MOD_OUT_OF_GROUPS = (6, 3), "OFPGMFC_OUT_OF_GROUPS";
    /// A group that forwards to itself.
    GROUP_MOD_LOOP = (6, 7), "OFPGMFC_LOOP";
    /// No such group.
    GROUP_MOD_UNKNOWN_GROUP = (6, 8), "OFPGMFC_UNKNOWN_GROUP";
    /// An unknown group type.
    GROUP_MOD_BAD_TYPE = (6, 10), "OFPGMFC_BAD_TYPE";
    /// An unknown command.
    GROUP_MOD_BAD_COMMAND = (6, 11), "OFPGMFC_BAD_COMMAND";
    /// A bucket that cannot be.
    GROUP_MOD_BAD_BUCKET = (6, 12), "OFPGMFC_BAD_BUCKET";
    /// The bucket is there already.
    GROUP_MOD_BUCKET_EXISTS = (6, 16), "OFPGMFC_BUCKET_EXISTS";
    /// No such bucket.
    GROUP_MOD_UNKNOWN_BUCKET = (6, 15), "OFPGMFC_UNKNOWN_BUCKET";
    /// The meter is there already.
    METER_MOD_METER_EXISTS = (12, 1), "OFPMMFC_METER_EXISTS";
    /// A meter that cannot be.
    METER_MOD_INVALID_METER = (12, 2), "OFPMMFC_INVALID_METER";
    /// No such meter.
    METER_MOD_UNKNOWN_METER = (12, 3), "OFPMMFC_UNKNOWN_METER";
    /// An unknown command.
    METER_MOD_BAD_COMMAND = (12, 4), "OFPMMFC_BAD_COMMAND";
    /// An unknown or contradictory flag.
    METER_MOD_BAD_FLAGS = (12, 5), "OFPMMFC_BAD_FLAGS";
    /// A rate that cannot be.
    METER_MOD_BAD_RATE = (12, 6), "OFPMMFC_BAD_RATE";
    /// A band that cannot be.
    METER_MOD_BAD_BAND = (12, 8), "OFPMMFC_BAD_BAND";
    /// No more meters.
    METER_MOD_OUT_OF_METERS = (12, 10), "OFPMMFC_OUT_OF_METERS";
    /// Too many bands.
    METER_MOD_OUT_OF_BANDS = (12, 11), "OFPMMFC_OUT_OF_BANDS";
    /// An unknown property.
    PROPERTY_BAD_TYPE = (14, 0), "OFPBPC_BAD_TYPE";
    /// A property of the wrong length.
    PROPERTY_BAD_LEN = (14, 1), "OFPBPC_BAD_LEN";
    /// A property whose value cannot be.
    PROPERTY_BAD_VALUE = (14, 2), "OFPBPC_BAD_VALUE";
    /// A property of an unknown experimenter.
    PROPERTY_BAD_EXPERIMENTER = (14, 5), "OFPBPC_BAD_EXPERIMENTER";
    /// An unknown property of a known experimenter.
    PROPERTY_BAD_EXP_TYPE = (14, 6), "OFPBPC_BAD_EXP_TYPE";
    /// No such monitor.
    MONITOR_UNKNOWN = (16, 3), "OFPMOFC_UNKNOWN_MONITOR";
    /// A bundle failed for a reason without a code.
    BUNDLE_UNKNOWN = (17, 0), "OFPBFC_UNKNOWN";
    /// No such bundle.
    BUNDLE_BAD_ID = (17, 2), "OFPBFC_BAD_ID";
    /// The bundle is open already.
    BUNDLE_EXISTS = (17, 3), "OFPBFC_BUNDLE_EXIST";
    /// The bundle is closed.
    BUNDLE_CLOSED = (17, 4), "OFPBFC_BUNDLE_CLOSED";
    /// No more bundles.
    BUNDLE_OUT_OF_BUNDLES = (17, 5), "OFPBFC_OUT_OF_BUNDLES";
    /// An unknown control type.
    BUNDLE_BAD_TYPE = (17, 6), "OFPBFC_BAD_TYPE";
    /// Flags other than those that opened the bundle.
    BUNDLE_BAD_FLAGS = (17, 7), "OFPBFC_BAD_FLAGS";
    /// The message inside has the wrong length.
    BUNDLE_MSG_BAD_LEN = (17, 8), "OFPBFC_MSG_BAD_LEN";
    /// The message inside has another transaction id than the one around it.
    BUNDLE_MSG_BAD_XID = (17, 9), "OFPBFC_MSG_BAD_XID";
    /// The message inside cannot be in a bundle.
    BUNDLE_MSG_UNSUP = (17, 10), "OFPBFC_MSG_UNSUP";
    /// Too many messages in the bundle.
    BUNDLE_MSG_TOO_MANY = (17, 12), "OFPBFC_MSG_TOO_MANY";
    /// A message of the bundle failed.
    BUNDLE_MSG_FAILED = (17, 13), "OFPBFC_MSG_FAILED";
    /// The bundle waited too long.
    BUNDLE_TIMEOUT = (17, 14), "OFPBFC_TIMEOUT";
    /// A match that cannot be (Nicira).
    NX_NXM_INVALID = (NX, 2), "NXBRC_NXM_INVALID";
    /// An unknown field (Nicira).
    NX_NXM_BAD_TYPE = (NX, 3), "NXBRC_NXM_BAD_TYPE";
    /// Bytes that must be zero are not (Nicira).
    NX_MUST_BE_ZERO = (NX, 4), "NXBRC_MUST_BE_ZERO";
    /// No form in this version (Nicira).
    NX_UNENCODABLE = (NX, 10), "NXBRC_UNENCODABLE_ERROR";
    /// Bytes of an action that must be zero are not (Nicira).
    NX_ACTION_MUST_BE_ZERO = (NX, 11), "NXBAC_MUST_BE_ZERO";
    /// Conjunction beside other actions (Nicira).
    NX_BAD_CONJUNCTION = (NX, 15), "NXBAC_BAD_CONJUNCTION";
    /// An unknown TLV table command (Nicira).
    NX_TLV_BAD_COMMAND = (NX, 16), "NXTTMFC_BAD_COMMAND";
    /// An option length that cannot be (Nicira).
    NX_TLV_BAD_OPT_LEN = (NX, 17), "NXTTMFC_BAD_OPT_LEN";
    /// A field index that cannot be (Nicira).
    NX_TLV_BAD_FIELD_INDEX = (NX, 18), "NXTTMFC_BAD_FIELD_IDX";
    /// The TLV table is full (Nicira).
    NX_TLV_TABLE_FULL = (NX, 19), "NXTTMFC_TABLE_FULL";
    /// The field index is mapped already (Nicira).
    NX_TLV_ALREADY_MAPPED = (NX, 20), "NXTTMFC_ALREADY_MAPPED";
    /// The option is mapped already (Nicira).
    NX_TLV_DUP_ENTRY = (NX, 21), "NXTTMFC_DUP_ENTRY";
    /// The switch cannot resume packets (Nicira).
    NX_RESUME_NOT_SUPPORTED = (NX, 34), "NXR_NOT_SUPPORTED";
    /// The packet to resume is gone (Nicira).
    NX_RESUME_STALE = (NX, 35), "NXR_STALE";
    /// A tunnel metadata field that nothing is mapped to (Nicira).
    NX_INVALID_TLV_FIELD = (NX, 37), "NXFMFC_INVALID_TLV_FIELD";
    /// The mapping is in use (Nicira).
    NX_TLV_IN_USE = (NX, 38), "NXTTMFC_INVALID_TLV_DEL";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {} code {}", self.typ, self.code),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {self}", self.typ, self.code)
    }
}
