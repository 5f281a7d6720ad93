//! An allocator that counts.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static BEFORE: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that this thread has in use. Each test is one thread, so that others do not count.
pub(crate) fn live() -> usize {
    LIVE.get()
}

/// The most bytes that this thread had in use while `act` ran, above what it had before.
pub(crate) fn most(act: impl FnOnce()) -> usize {
    BEFORE.set(live());
    MOST.set(0);
    act();
    usize::try_from(MOST.get()).unwrap()
}

/// The system's allocator, counting what each thread takes and gives back.
pub(crate) struct Counting;

// Wrapping: what one thread takes another may give back, outside of the tests.
fn count(taken: usize, given_back: usize) {
    let live = LIVE.get().wrapping_add(taken).wrapping_sub(given_back);
    LIVE.set(live);
    let more = live.wrapping_sub(BEFORE.get()).cast_signed();
    MOST.set(MOST.get().max(more));
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
