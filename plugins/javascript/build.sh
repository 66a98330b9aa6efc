#!/usr/bin/env bash
# Builds the engine for steps in plain JavaScript as a component: QuickJS of the crate that Cargo.toml pins, clang of Debian.
#
#   plugins/javascript/build.sh           writes plugins/javascript/prebuilt/javascript.wasm and its DIGESTS
#   plugins/javascript/build.sh --check   builds into a temporary folder and compares with what is committed
#
# The same compiler gives the same bytes. Another one than DIGESTS names is compared with nothing: it only has to build.
#
# Environment:
#   COMPONENTIZE   a command that takes `CORE WIT WORLD OUT` (default: an example of this checkout)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(dirname "$(dirname "$here")")
out=$here/prebuilt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case ${1-} in
'') mkdir -p "$out" ;;
--check) ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac

quickjs=$(cd "$here" && cargo metadata --locked --format-version 1 |
    python3 -c 'import json, os, sys; print(*[os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "rquickjs-sys"])')/quickjs
compiler=$(clang-22 --version | head -n 1)

# `EMSCRIPTEN` is what QuickJS asks for to leave out threads, rounding modes and jumps to computed places.
cd "$here"
clang-22 --target=wasm32-wasi --sysroot=/usr -std=gnu23 -Wno-deprecated -Os -flto -mexec-model=reactor \
    -D_GNU_SOURCE -DNDEBUG -DEMSCRIPTEN=1 -DFE_DOWNWARD=0 -DFE_UPWARD=0 -isystem "$quickjs" \
    -ffile-prefix-map="$quickjs=quickjs" -ffile-prefix-map="$here=javascript" -Wall -Wextra -Werror -Wno-unused-function \
    -Wl,--strip-all -Wl,--stack-first -Wl,-z,stack-size=524288 -o "$scratch/core.wasm" engine.c \
    -x c -w "$quickjs/libregexp.c" "$quickjs/libunicode.c" "$quickjs/dtoa.c" -lm

mkdir -p "$scratch/wit/deps/step"
cp "$here/wit/script.wit" "$scratch/wit/"
cp "$root/wit/v0.1.0/step.wit" "$scratch/wit/deps/step/"
componentize=${COMPONENTIZE-}
if [ -z "$componentize" ]; then
    (cd "$root" && cargo build --quiet --locked --workspace --example componentize)
    componentize=$root/target/debug/examples/componentize
fi
$componentize "$scratch/core.wasm" "$scratch/wit" engine "$scratch/javascript.wasm"
if LC_ALL=C grep -aqE '/root/|/home/|/tmp/|/usr/' "$scratch/javascript.wasm"; then
    echo "build.sh: the component tells where it was built" >&2
    exit 1
fi

digests() {
    echo "# $compiler"
    (cd "$1" && sha256sum -- javascript.wasm)
}
digests "$scratch" >"$scratch/DIGESTS"
if [ "${1-}" != --check ]; then
    cp "$scratch/javascript.wasm" "$scratch/DIGESTS" "$out/"
    ls -l "$out/javascript.wasm"
    exit
fi
(cd "$out" && sha256sum --check --quiet DIGESTS)
built_with=$(sed -n '1s/^# //p' "$out/DIGESTS")
if [ "$built_with" != "$compiler" ]; then
    echo "not comparable: built with $built_with; this is $compiler"
elif diff "$out/DIGESTS" "$scratch/DIGESTS"; then
    echo "the engine for JavaScript is up to date"
else
    echo "build.sh: the engine for JavaScript differs from its sources; run plugins/javascript/build.sh" >&2
    exit 1
fi
