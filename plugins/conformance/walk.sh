#!/usr/bin/env bash
# Does what plugins/LANGUAGES.md says, language by language, in empty folders: files as they stand there, commands as they stand there.
# Needs what `build.sh install` installs, and `milepost` of this checkout.
#
#   plugins/conformance/walk.sh [SECTION..]   (default: those of the first tier)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(dirname "$(dirname "$here")")
tools=${TOOLS:-$root/plugins/target/tools}
program=${MILEPOST:-$root/target/debug/milepost}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"
ln -s "$program" "$scratch/bin/milepost"
# Where `npx` looks: in the folders above, not on the PATH.
ln -s "$tools/node_modules" "$scratch/node_modules"
export MILEPOST_SRC=$root PATH=$scratch/bin:$tools/python/bin:$tools/node_modules/.bin:$PATH
export GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod PYTHONDONTWRITEBYTECODE=1
unset MILEPOST_STORE

# What stands in the blocks of a section: files as `<name>`, commands as `commands.sh`.
blocks() {
    awk -v section="$1" -v folder="$2" '
        /^## / { here = substr($0, 4); next }
        /^```/ && file { file = ""; next }
        /^```/ && (here == section || here == "") {
            file = folder "/" ($1 == "```sh" ? "commands.sh" : $2)
            next
        }
        file { print > file }
    ' "$here/../LANGUAGES.md"
}

[ $# -gt 0 ] || set -- 'JavaScript without a build' C Go JavaScript Python
for section in "$@"; do
    folder=$scratch/$section
    mkdir "$folder"
    blocks "$section" "$folder"
    [ -s "$folder/commands.sh" ] || { echo "walk.sh: LANGUAGES.md has no commands for $section" >&2; exit 64; }
    started=$(date +%s%N)
    (cd "$folder" && bash -euo pipefail commands.sh >said 2>&1) || { cat "$folder/said" >&2; exit 1; }
    said=$(cd "$folder" && milepost ls --json)
    [[ $said == *\"completed\"* ]] || { echo "$said" >&2; cat "$folder/said" >&2; exit 1; }
    printf '%-12s %6d ms\n' "$section" $((($(date +%s%N) - started) / 1000000))
done
