#!/usr/bin/env bash
# Builds variants of plugins in each of which one literal is another: what `milepost replay --with` has to find.
#
#   plugins/mutants/build.sh           writes plugins/mutants/<name>.wasm and plugins/mutants/DIGESTS
#   plugins/mutants/build.sh --check   builds nothing: the components are those of DIGESTS, and what MUTATIONS changes is still there
#
# What is changed stands in MUTATIONS. The sources are copied first, so that those of the plugins, and their digests, stay as they
# are. Compiler and environment are those of plugins/build.sh, which does the work.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../target/mutants}
cp -a "$here/../../wit" "$scratch/wit"
mkdir "$scratch/plugins"
(cd "$here/.." && tar -c --exclude=./target --exclude=./mutants .) | tar -x -C "$scratch/plugins"

names=()
while IFS='|' read -r plugin file from to; do
    case $plugin in '' | '#'*) continue ;; esac
    source=$scratch/plugins/$plugin/$file
    if [ "$(grep -cF -- "$from" "$source")" != 1 ]; then
        echo "build.sh: \`$from\` does not stand once in $plugin/$file" >&2
        exit 1
    fi
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$source"
    names+=("$plugin")
done <"$here/MUTATIONS"

if [ "${1-}" = --check ]; then
    (cd "$here" && sha256sum --check --quiet DIGESTS)
    for name in "${names[@]}"; do grep -q "  $name.wasm\$" "$here/DIGESTS"; done
    echo "${#names[@]} mutants are what DIGESTS says"
    exit 0
fi

PLUGINS="${names[*]}" "$scratch/plugins/build.sh"
built=$scratch/plugins/prebuilt
for name in "${names[@]}"; do cp "$built/$name.wasm" "$here/$name.wasm"; done
cp "$built/DIGESTS" "$here/DIGESTS"
