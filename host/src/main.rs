//! The `milepost` program. Everything it does stands in [`cli`]; everything that can be done without a terminal stands in
//! the library.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
