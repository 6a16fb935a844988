//! The same packets in two systems, byte for byte but for what masks except.

use crate::decode::Frame;
use crate::masks::{MASKS, Mask};
use crate::script::Case;

impl Mask {
    /// Whether a frame has one of the fields that the entry is about.
    pub fn is_about(&self, frame: &Frame) -> bool {
        self.about.iter().any(|word| frame.has(word))
    }
}

/// How frames differ that two systems made in the same case.
pub fn difference(case: &Case, stock: &[Vec<Frame>], kiln: &[Vec<Frame>]) -> Option<String> {
    let masks: Vec<&Mask> =
        MASKS.iter().filter(|mask| mask.always || case.masks.iter().any(|name| name == mask.name)).collect();
    let pairs = stock.iter().zip(kiln).flat_map(|(stock, kiln)| stock.iter().zip(kiln));
    let mut pairs = pairs.filter(|(stock, kiln)| masked(stock, kiln, &masks) != masked(kiln, stock, &masks));
    let (stock, kiln) = pairs.next()?;
    let alone = |frame: &Frame, other: &Frame| {
        let fields = frame.fields.iter().filter(|field| !other.fields.contains(field));
        fields.map(|field| format!("{}={}", field.key, field.text)).collect::<Vec<_>>().join(" ")
    };
    let words = format!("with {} for {}", alone(kiln, stock), alone(stock, kiln));
    Some(format!("stock sent\n  {stock}\nand Kiln\n  {kiln}\n{words}"))
}

/// A frame's bytes with zeros where it may differ from another.
fn masked(frame: &Frame, other: &Frame, masks: &[&Mask]) -> Vec<u8> {
    let mut bytes = frame.bytes.clone();
    for mask in masks.iter().filter(|mask| mask.is_about(frame)) {
        if mask.fields.contains(&"…") {
            bytes.truncate(other.bytes.len());
        }
        for field in frame.fields.iter().filter(|field| mask.fields.contains(&field.key.as_str())) {
            // The quote itself is compared as far as both go; what may differ is how long it is.
            if field.key != "quoted" {
                let end = field.at.end.min(bytes.len());
                bytes[field.at.start.min(end)..end].fill(0);
            }
        }
    }
    bytes
}
