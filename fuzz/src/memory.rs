//! A bound on what one input may make the program hold.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that any input may make the program hold, beside what its length allows.
const BASE: usize = 8 << 20;
/// Bytes for each byte of input.
const PER_BYTE: usize = 2048;
/// Bytes for each thing that comes out.
const PER_RESULT: usize = 2048;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn grown(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    if held > MOST.load(Relaxed) {
        MOST.store(held, Relaxed);
    }
}

// SAFETY: everything is the system allocator's; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Relaxed);
        grown(new);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(at, layout, new) }
    }
}

/// Runs `target` on an input, and panics if it held more memory at once than an input of that length may make it hold, or
/// still holds any of it afterwards.
pub fn bounded(data: &[u8], target: impl FnOnce(&[u8])) {
    bounded_by_result(data, |data| {
        target(data);
        0
    });
}

/// The same where little input may stand for much: `target` tells how many things came out.
pub fn bounded_by_result(data: &[u8], target: impl FnOnce(&[u8]) -> usize) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let came = target(data);
    let most = MOST.load(Relaxed) - before;
    let limit = BASE + PER_BYTE * data.len() + PER_RESULT * came;
    assert!(most <= limit, "{most} bytes were held for an input of {}, which may take {limit}", data.len());
}
