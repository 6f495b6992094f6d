#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh RECORDED.jsonl: lints the contract and holds the recorded answers against it. Needs Node 20.19 or newer; exits
# with 77 (skipped) where there is none.
set -eu
recorded=$1
cd "$(dirname "$0")"
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
  2>/dev/null || { echo "no Node 20.19 or newer: skipped"; exit 77; }
[ -d node_modules ] || npm ci --no-audit --no-fund
npx redocly lint --config redocly.yaml ../../api/openapi.yaml
node check.mjs "$recorded"
