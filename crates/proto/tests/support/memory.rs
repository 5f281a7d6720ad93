//! An allocator that counts.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that this thread has in use. Each test is one thread, so that others do not count.
pub(crate) fn live() -> usize {
    LIVE.get()
}

/// The system's allocator, counting what each thread takes and gives back.
pub(crate) struct Counting;

// Wrapping: what one thread takes another may give back, outside of the tests.
fn count(taken: usize, given_back: usize) {
    LIVE.set(LIVE.get().wrapping_add(taken).wrapping_sub(given_back));
}

#[expect(unsafe_code, reason = "allocators cannot be written otherwise")]
// SAFETY: everything is passed on to the system's allocator as it came. Counting does not
// allocate: the cell is made at compile time and needs no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are the system's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
