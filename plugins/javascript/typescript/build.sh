#!/usr/bin/env bash
# Bundles what takes the types out of TypeScript (sucrase) as a script for the engine. Needs npm.
#
#   plugins/javascript/typescript/build.sh           writes stripper.js and LICENSES beside this file
#   plugins/javascript/typescript/build.sh --check   compares with what is committed
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case ${1-} in
'' | --check) ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac

cp "$here"/{package.json,package-lock.json,strip.js} "$scratch/"
cd "$scratch"
npm ci --ignore-scripts --no-audit --no-fund --silent
node_modules/.bin/esbuild strip.js --bundle --minify --format=esm --target=es2022 --legal-comments=none --log-level=warning \
    --metafile=meta.json --outfile=stripper.js
# Of the packages of which something is in the bundle.
node -e '
    const inputs = Object.keys(require("./meta.json").inputs);
    const names = inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean);
    for (const name of [...new Set(names)].sort()) {
        const folder = `node_modules/${name}`;
        const { version, license } = require(`./${folder}/package.json`);
        const file = require("fs").readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
        const text = file ? require("fs").readFileSync(`${folder}/${file}`, "utf8").trim() : license;
        console.log(`${name} ${version} (${license})\n\n${text}\n\n---\n`);
    }' >LICENSES
if [ "${1-}" = --check ]; then
    diff -q stripper.js "$here/stripper.js" && diff -q LICENSES "$here/LICENSES" && echo "the bundle for TypeScript is up to date"
else
    cp stripper.js LICENSES "$here/"
    ls -l "$here/stripper.js"
fi
