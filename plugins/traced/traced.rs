//! A guest with debug information, as an author's unstripped build has it: `run` traps three calls deep.

#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[inline(never)]
fn innermost(n: usize) -> usize {
    // Outside of its memory.
    let far = core::hint::black_box(usize::MAX - n);
    unsafe { core::ptr::read_volatile(far as *const usize) }
}

#[inline(always)]
fn inlined(n: usize) -> usize {
    innermost(n) + 1
}

mod nested {
    #[inline(never)]
    pub(crate) fn outer(n: usize) -> usize {
        super::inlined(n) * 2
    }
}

#[unsafe(export_name = "milepost:step/guest@0.1.0#run")]
extern "C" fn run(_: usize, _: usize, _: usize, input_length: usize) -> usize {
    nested::outer(input_length)
}

#[unsafe(export_name = "milepost:step/guest@0.1.0#describe")]
extern "C" fn describe() -> usize {
    core::arch::wasm32::unreachable()
}

static mut HEAP: [u64; 1024] = [0; 1024];

/// Its arguments are small, and come once.
#[unsafe(export_name = "cabi_realloc")]
extern "C" fn realloc(_: usize, _: usize, _: usize, _: usize) -> usize {
    static mut USED: usize = 0;
    unsafe {
        USED += 256;
        (&raw mut HEAP) as usize + USED - 256
    }
}
