#!/usr/bin/env bash
# Builds every plugin in this folder as a component and embeds its manifest.
#
#   plugins/build.sh           writes plugins/prebuilt/<name>.wasm and plugins/prebuilt/DIGESTS
#   plugins/build.sh --check   builds into a temporary folder and compares with what is committed
#
# The compiler: the default toolchain where it has the target wasm32-wasip2 (`rustup target add wasm32-wasip2`), else
# Debian's rustc-web, which builds the target's library from source (packages rustc-web, rust-web-src, wasi-libc).
#
# Environment:
#   CARGO_TARGET_DIR   where to build (default: plugins/target)
#   MILEPOST           the milepost program (default: built from this checkout)
#   PLUGINS            which ones, separated by spaces (default: all); DIGESTS then names those alone
#   MILEPOST_PACK      another command that takes `IN -o OUT` and embeds the manifest
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
read -ra plugins <<<"${PLUGINS:-text table report command git fetch notify orders flaky pausing hostile world web math conformance}"
target=wasm32-wasip2
out=$here/prebuilt
check=false
case ${1-} in
'') ;;
--check) check=true ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/target}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
$check && out=$scratch/prebuilt
mkdir -p "$out"
cd "$here"

# Sources are downloaded first: where they lie has to be known before the flags that hide it.
cargo fetch --locked --quiet

flags=()
build=(cargo build --locked --release --target "$target")
if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    compiler=$(rustc --version)
    library=$(rustc --print sysroot)/lib/rustlib/src/rust
elif [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust ] && [ -d /usr/lib/wasm32-wasi ]; then
    # The linker for components comes with a toolchain, or not at all. Its version shows in what it writes: the one that wrote
    # what is committed is taken where it is installed, else the default toolchain's.
    tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
    recorded=$(sed -n '1s/.*, \(wasm-component-ld .*\)$/\1/p' "$here/prebuilt/DIGESTS")
    for other in "$(dirname "$(rustc --print sysroot)")"/*/lib/rustlib/*/bin; do
        if [ -n "$recorded" ] && [ "$("$other/wasm-component-ld" --version 2>/dev/null)" = "$recorded" ]; then
            tools=$other
        fi
    done
    export PATH=$tools:$tools/gcc-ld:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    compiler="$($RUSTC --version), $(wasm-component-ld --version)"
    library=$(readlink -f /usr/lib/rustlib/src/rust)
    flags+=(-L native=/usr/lib/wasm32-wasi)
    flags+=("--remap-path-prefix=/usr/lib/rustlib/src/rust=rust")
    build+=(-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size)
else
    echo "build.sh: no compiler for $target; run \`rustup target add $target\`" >&2
    exit 69
fi

# Panic messages name source files. They must not depend on the machine, nor tell where anything came from.
flags+=("--remap-path-prefix=$here=plugins" "--remap-path-prefix=$CARGO_TARGET_DIR=target")
flags+=("--remap-path-prefix=$cargo_home=cargo" "--remap-path-prefix=$library=rust")
for registry in "$cargo_home"/registry/src/*/; do
    flags+=("--remap-path-prefix=${registry%/}=crates")
done
CARGO_ENCODED_RUSTFLAGS=$(
    IFS=$'\x1f'
    echo "${flags[*]}"
)
export CARGO_ENCODED_RUSTFLAGS
for name in "${plugins[@]}"; do
    build+=(-p "$name")
done
"${build[@]}"

# The host is built with the default compiler and flags, in the root's own target folder.
pack() {
    if [ -n "${MILEPOST_PACK-}" ]; then
        $MILEPOST_PACK "$@"
    elif [ -n "${MILEPOST-}" ]; then
        "$MILEPOST" plugin pack "$@"
    else
        env -u CARGO_TARGET_DIR -u CARGO_ENCODED_RUSTFLAGS -u RUSTC -u RUSTC_BOOTSTRAP \
            cargo run --quiet --release --manifest-path "$here/../Cargo.toml" --bin milepost -- plugin pack "$@"
    fi
}
for name in "${plugins[@]}"; do
    # Nothing of Milepost, so no manifest either.
    if [ "$name" = math ]; then
        cp "$CARGO_TARGET_DIR/$target/release/$name.wasm" "$out/$name.wasm"
        continue
    fi
    pack "$CARGO_TARGET_DIR/$target/release/$name.wasm" -o "$out/$name.wasm"
done

places=("$here" "$cargo_home" "$CARGO_TARGET_DIR" "$library" /root/ /home/ /tmp/ /usr/)
for registry in "$cargo_home"/registry/src/*/; do
    places+=("$(basename "$registry")")
done
for name in "${plugins[@]}"; do
    for text in "${places[@]}"; do
        if LC_ALL=C grep -aqF -- "$text" "$out/$name.wasm"; then
            echo "build.sh: $name.wasm tells where it was built: it contains $text" >&2
            exit 1
        fi
    done
done

digests() {
    echo "# $compiler"
    (cd "$out" && sha256sum -- "${plugins[@]/%/.wasm}")
}
if ! $check; then
    digests >"$out/DIGESTS"
    (cd "$out" && ls -l -- *.wasm)
    exit 0
fi

# The manifest is the last section of a packed component.
manifest() {
    LC_ALL=C grep -aoE 'milepost:manifest\{.*' "$1" || true
}
digests >"$out/DIGESTS"
(cd "$here/prebuilt" && sha256sum --check --quiet DIGESTS)
for name in "${plugins[@]}"; do
    if [ "$(manifest "$out/$name.wasm")" != "$(manifest "$here/prebuilt/$name.wasm")" ]; then
        echo "build.sh: the manifest of $name differs from the committed one" >&2
        exit 1
    fi
done
built_with=$(sed -n '1s/^# //p' "$here/prebuilt/DIGESTS")
if [ "$built_with" != "$compiler" ]; then
    echo "not comparable: built with $built_with; this is $compiler. The manifests agree."
elif diff "$here/prebuilt/DIGESTS" "$out/DIGESTS"; then
    echo "prebuilt components are up to date"
else
    echo "build.sh: prebuilt components differ from their sources; run plugins/build.sh" >&2
    exit 1
fi
