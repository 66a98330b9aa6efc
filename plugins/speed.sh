#!/usr/bin/env bash
# What a language costs: begins a plugin in each (`milepost plugin new`), builds it twice (`plugin build`; told is the second time, with
# the caches of the compilers but not that of Milepost, as after a change), and calls its step `greet`. Prints the table of LANGUAGES.md. Needs what `conformance/build.sh install`
# and `conformance/build.sh install-second` install; a language whose tools are missing is left out, and named.
#
#   plugins/speed.sh [LANG..]
#
# Environment:
#   MILEPOST   the program (default: the one of that profile, which is built)
#   PROFILE    of cargo (default: bench; with dev, nothing is compiled anew, and the columns of calls tell little)
#   TOOLS      where the toolchains are (default: plugins/target/tools)
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
tools=${TOOLS:-$root/plugins/target/tools}
export PATH=$tools/python/bin:$PATH
languages=(wat c cpp zig assemblyscript rust go javascript typescript python)
[ $# -eq 0 ] || languages=("$@")

cd "$root"
profile=${PROFILE:-bench}
if [ -z "${MILEPOST-}" ]; then
    cargo build --locked --quiet --profile "$profile" --workspace --bin milepost
    MILEPOST=$root/target/$([ "$profile" = dev ] && echo debug || echo release)/milepost
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/guests"
ln -s "$tools/node_modules" "$scratch/node_modules"
# What was compiled by an earlier run would be found there.
export MILEPOST_CACHE=$scratch/cache MILEPOST_STORE=$scratch/store

for language in "${languages[@]}"; do
    folder=$scratch/in-$language
    "$MILEPOST" plugin new "$folder" --lang "$language" >/dev/null
    if ! "$MILEPOST" plugin build "$folder" >"$scratch/said" 2>&1; then
        echo "speed.sh: $language is left out:" >&2
        cat "$scratch/said" >&2
        continue
    fi
    started=$EPOCHREALTIME
    MILEPOST_CACHE=$scratch/again-$language "$MILEPOST" plugin build "$folder" >/dev/null 2>&1
    echo "$language $started $EPOCHREALTIME" | awk '{ printf "%s %.1f\n", $1, $3 - $2 }' >>"$scratch/builds"
    cp "$folder/in-$language.wasm" "$scratch/guests/$language.wasm"
done

MILEPOST_GUESTS=$scratch/guests cargo bench --locked --quiet --profile "$profile" --workspace --bench languages >"$scratch/calls"

echo '| language | build | component | compiled in | first call | call | calls/s | memory |'
echo '|---|---|---|---|---|---|---|---|'
awk '
    FNR == NR { built[$1] = $2; next }
    $1 in built && NF == 7 { printf "| %s | %.1f s | %.0f KB | %s | %s | %s | %s | %s KiB |\n", $1, built[$1], $2 / 1000, $3, $4, $5, $6, $7 }
' "$scratch/builds" "$scratch/calls"
