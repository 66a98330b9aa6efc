//! The `milepost` program. Everything it does stands in [`cli`]; everything that can be done without a terminal stands in
//! the library.

mod cli;

/// Many small values go from the threads that drive runs to the one that writes: with this allocator 64 runs make a third more
/// steps a second than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
