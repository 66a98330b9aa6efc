//! A global allocator for instances that live for one call.
//!
//! The host runs every attempt in a fresh instance and drops its memory as a whole, so that giving memory back piece by
//! piece is work for nothing. This allocator only moves a pointer. Two cases are cheap to do better, and common when text
//! is built: the last block grows and shrinks in place, and frees its room.
//!
//! Small steps stay inside a reserve that is part of the component's initial memory: growing memory is a call of the
//! operating system in the host, which is what keeps short steps from running in parallel at full speed. The reserve is
//! zeroed memory, so it adds nothing to the component's size, and pages that are not touched cost nothing. Larger steps
//! grow memory in chunks of [`CHUNK`].
//!
//! A step that allocates and drops far more than it holds at once reaches the host's memory limit sooner than with the
//! standard allocator. Such a plugin switches the feature `bump-alloc` off.

#![expect(
    unsafe_code,
    reason = "an allocator hands out raw memory; each block says why it may"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ops::Range;
use core::ptr;

/// Bytes of initial memory that allocations are served from first.
pub const RESERVE: usize = 1024 * 1024;

/// Bytes by which memory grows at least, once the reserve is used up.
pub const CHUNK: usize = 4 * 1024 * 1024;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Bump<instance::Instance> = Bump::new(instance::Instance);

/// Where the memory comes from. Addresses are given out once.
///
/// # Safety
/// Both functions return memory that may be read and written until the program ends, and that nobody else uses.
unsafe trait Memory {
    /// The memory to begin with.
    fn reserve(&self) -> Range<usize>;

    /// More memory, `bytes` or longer. It may begin where the last one ended, or somewhere else.
    fn grow(&self, bytes: usize) -> Option<Range<usize>>;
}

/// The allocator: the bytes that may still be handed out of the present area.
struct Bump<M> {
    next: Cell<usize>,
    end: Cell<usize>,
    memory: M,
}

impl<M: Memory> Bump<M> {
    const fn new(memory: M) -> Self {
        Self {
            next: Cell::new(0),
            end: Cell::new(0),
            memory,
        }
    }

    /// Takes `size` bytes at a multiple of `align`, a power of two.
    fn take(&self, align: usize, size: usize) -> Option<usize> {
        if self.end.get() == 0 {
            self.enter(self.memory.reserve());
        }
        if let Some(start) = self.fit(align, size) {
            return Some(start);
        }
        // Enough also for an area that begins elsewhere; a large chunk where there is room for one.
        let needed = size.checked_add(align)?;
        let grow = |bytes| self.memory.grow(bytes);
        self.enter(grow(needed.max(CHUNK)).or_else(|| grow(needed))?);
        self.fit(align, size)
    }

    fn fit(&self, align: usize, size: usize) -> Option<usize> {
        let start = self.next.get().checked_add(align - 1)? & !(align - 1);
        let stop = start.checked_add(size)?;
        (stop <= self.end.get()).then(|| {
            self.next.set(stop);
            start
        })
    }

    /// Goes on in new memory. What is left of the area before is given up, unless the new one continues it.
    fn enter(&self, area: Range<usize>) {
        if area.start != self.end.get() {
            self.next.set(area.start);
        }
        self.end.set(area.end);
    }
}

// SAFETY: blocks lie in memory that nobody else uses (`Memory`) and do not overlap: `next` only moves past what was taken,
// and it moves back only over the last block, when that is given up.
unsafe impl<M: Memory> GlobalAlloc for Bump<M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout.align(), layout.size()) {
            Some(start) => ptr::with_exposed_provenance_mut(start),
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block.expose_provenance();
        if start + layout.size() == self.next.get() {
            self.next.set(start);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let start = block.expose_provenance();
        let stop = start + layout.size();
        let is_last = stop == self.next.get();
        if is_last {
            self.next.set(start);
        } else if new_size <= layout.size() {
            return block;
        }
        let Some(new) = self.take(layout.align(), new_size) else {
            if is_last {
                self.next.set(stop);
            }
            return ptr::null_mut();
        };
        if new == start {
            return block;
        }
        let new = ptr::with_exposed_provenance_mut(new);
        // SAFETY: both blocks are at least this long; the new one was not in use and does not overlap the old one,
        // because a last block that could not grow in place got a block in another area.
        unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
        new
    }
}

#[cfg(target_family = "wasm")]
mod instance {
    use core::cell::UnsafeCell;
    use core::ops::Range;

    use super::{Bump, Memory, RESERVE};

    const PAGE: usize = 64 * 1024;

    #[cfg(target_feature = "atomics")]
    compile_error!("the allocator is for components, which have one thread");

    // SAFETY: a component has one thread.
    unsafe impl Sync for Bump<Instance> {}

    /// The memory of the component instance.
    pub(super) struct Instance;

    #[repr(C, align(16))]
    struct Reserve(UnsafeCell<[u8; RESERVE]>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for Reserve {}

    static RESERVED: Reserve = Reserve(UnsafeCell::new([0; RESERVE]));

    // SAFETY: the reserve is named nowhere else, and grown pages belong to whoever grew them.
    unsafe impl Memory for Instance {
        fn reserve(&self) -> Range<usize> {
            let start = RESERVED.0.get().expose_provenance();
            start..start + RESERVE
        }

        fn grow(&self, bytes: usize) -> Option<Range<usize>> {
            let pages = bytes.div_ceil(PAGE);
            let before = core::arch::wasm32::memory_grow(0, pages);
            // `usize::MAX` says no. An end of 2^32 has no address; the last page is not used then.
            let end = before.checked_add(pages)?.checked_mul(PAGE)?;
            Some(before * PAGE..end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two areas of one real block. The second is refused when it is too small.
    struct Areas {
        reserve: Range<usize>,
        more: Cell<Option<Range<usize>>>,
    }

    // SAFETY: the areas below lie in leaked memory and do not overlap.
    unsafe impl Memory for Areas {
        fn reserve(&self) -> Range<usize> {
            self.reserve.clone()
        }

        fn grow(&self, bytes: usize) -> Option<Range<usize>> {
            let more = self.more.take()?;
            if more.len() < bytes {
                self.more.set(Some(more));
                return None;
            }
            Some(more)
        }
    }

    /// An allocator on 64 bytes, and where they begin (a multiple of 64).
    fn bump(more: Option<Range<usize>>) -> (Bump<Areas>, usize) {
        let memory = Box::leak(vec![0_u8; 4096].into_boxed_slice());
        let base = memory.as_mut_ptr().expose_provenance().next_multiple_of(64);
        let areas = Areas {
            reserve: base..base + 64,
            more: Cell::new(more.map(|area| base + area.start..base + area.end)),
        };
        (Bump::new(areas), base)
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a power of two")
    }

    fn alloc(bump: &Bump<Areas>, size: usize, align: usize) -> usize {
        // SAFETY: no size is zero here.
        unsafe { bump.alloc(layout(size, align)) }.expose_provenance()
    }

    fn realloc(bump: &Bump<Areas>, block: usize, size: usize, new_size: usize) -> usize {
        // SAFETY: the tests hand in blocks of this allocator with the sizes they have.
        unsafe {
            bump.realloc(
                ptr::with_exposed_provenance_mut(block),
                layout(size, 1),
                new_size,
            )
        }
        .expose_provenance()
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let (bump, base) = bump(None);
        assert_eq!(alloc(&bump, 3, 1), base);
        assert_eq!(alloc(&bump, 8, 8), base + 8);
        assert_eq!(alloc(&bump, 1, 1), base + 16);
        assert_eq!(alloc(&bump, 16, 16), base + 32);
        assert_eq!(alloc(&bump, 16, 1), base + 48);
        assert_eq!(alloc(&bump, 1, 1), 0, "full");
    }

    #[test]
    fn only_the_last_block_gives_its_room_back() {
        let (bump, base) = bump(None);
        let (first, second) = (alloc(&bump, 8, 1), alloc(&bump, 8, 1));
        let free = |block: usize| {
            // SAFETY: a block of this allocator.
            unsafe { bump.dealloc(ptr::with_exposed_provenance_mut(block), layout(8, 1)) };
        };
        free(first);
        assert_eq!(alloc(&bump, 8, 1), base + 16);
        free(base + 16);
        free(second);
        assert_eq!(alloc(&bump, 8, 1), base + 8);
    }

    #[test]
    fn the_last_block_grows_and_shrinks_in_place() {
        let (bump, base) = bump(None);
        let block = alloc(&bump, 8, 1);
        assert_eq!(realloc(&bump, block, 8, 64), block);
        assert_eq!(realloc(&bump, block, 64, 4), block);
        assert_eq!(alloc(&bump, 1, 1), base + 4);
    }

    #[test]
    fn another_block_moves_when_it_grows() {
        let (bump, base) = bump(None);
        let block: *mut u8 = ptr::with_exposed_provenance_mut(alloc(&bump, 4, 1));
        // SAFETY: the block is four bytes long.
        unsafe { ptr::copy_nonoverlapping([1, 2, 3, 4].as_ptr(), block, 4) };
        alloc(&bump, 4, 1);
        assert_eq!(realloc(&bump, base, 4, 2), base, "shrinks where it is");
        assert_eq!(realloc(&bump, base, 4, 6), base + 8);
        let moved: *const [u8; 4] = ptr::with_exposed_provenance(base + 8);
        // SAFETY: the block is six bytes long.
        assert_eq!(unsafe { *moved }, [1, 2, 3, 4]);
    }

    #[test]
    fn goes_on_where_memory_goes_on() {
        let (bump, base) = bump(Some(64..512));
        let block = alloc(&bump, 60, 1);
        assert_eq!(realloc(&bump, block, 60, 200), block, "over the border");
        assert_eq!(alloc(&bump, 8, 8), base + 200);
    }

    #[test]
    fn moves_to_memory_elsewhere() {
        let (bump, base) = bump(Some(1024..2048));
        let block = alloc(&bump, 60, 1);
        assert_eq!(realloc(&bump, block, 60, 200), base + 1024);
        assert_eq!(alloc(&bump, 8, 8), base + 1224);
    }

    #[test]
    fn a_refusal_leaves_everything_as_it_was() {
        let (bump, base) = bump(Some(64..128));
        let block = alloc(&bump, 60, 1);
        assert_eq!(realloc(&bump, block, 60, 2000), 0);
        assert_eq!(alloc(&bump, usize::MAX / 2, 1), 0);
        assert_eq!(alloc(&bump, 4, 1), base + 60);
    }
}
