#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_page.sh WEB BUILT OUT.cpp: builds the page that WEB holds into BUILT, and makes C++ of it.
set -eu
web=$1 built=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
cd "$web"
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund ||
    { echo "the page's packages cannot be had from npm: ./dev build --no-web builds without the page" >&2; exit 1; }
fi
# Without the check of types, which is a test's and needs those of the API's client.
GERES_WEB_OUT=$built npx --no-install vite build --logLevel warn
node "$here/embed_page.mjs" "$built" "$out"
