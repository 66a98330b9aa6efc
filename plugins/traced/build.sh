#!/usr/bin/env bash
# Builds traced.rs as a core module with debug information, for the tests of `milepost symbolize`.
#
#   plugins/traced/build.sh           writes plugins/traced/traced.wasm
#   plugins/traced/build.sh --check   compares with what is committed, where the compiler is the same
#
# The compiler is Debian's, as for the other guests (plugins/build.sh): another one writes other debug information.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
if [ ! -x /usr/bin/rustc ] || [ ! -d /usr/lib/rustlib/src/rust ]; then
    echo "not comparable: Debian's rustc-web and rust-web-src are not installed"
    exit 0
fi
compiler=$(/usr/bin/rustc --version)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/src"
cp "$here/traced.rs" "$scratch/src/traced.rs"
cat >"$scratch/Cargo.toml" <<'TOML'
[package]
name = "traced"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]
path = "src/traced.rs"

[profile.release]
opt-level = 1
debug = true
panic = "abort"
lto = true
codegen-units = 1
TOML
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
export PATH=$tools:$tools/gcc-ld:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$scratch/target
library=$(readlink -f /usr/lib/rustlib/src/rust)
export RUSTFLAGS="--remap-path-prefix=$scratch/src=traced --remap-path-prefix=$library=rust --remap-path-prefix=/usr/lib/rustlib/src/rust=rust --remap-path-prefix=$scratch=traced"
(cd "$scratch" && cargo build --quiet --release --target wasm32-unknown-unknown -Z build-std=core,panic_abort)
built=$scratch/target/wasm32-unknown-unknown/release/traced.wasm
if LC_ALL=C grep -aqF -e "$scratch" -e /usr/ -e /root/ -e /home/ "$built"; then
    echo "build.sh: traced.wasm tells where it was built" >&2
    exit 1
fi
if [ "${1-}" != --check ]; then
    cp "$built" "$here/traced.wasm"
    chmod 644 "$here/traced.wasm"
    echo "$compiler" >"$here/COMPILER"
elif [ "$(cat "$here/COMPILER")" != "$compiler" ]; then
    echo "not comparable: built with $(cat "$here/COMPILER"); this is $compiler"
elif ! cmp "$built" "$here/traced.wasm"; then
    echo "build.sh: traced.wasm differs from its source; run plugins/traced/build.sh" >&2
    exit 1
fi
