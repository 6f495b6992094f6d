#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the benchmarks one after the other: ./dev bench [hub|events|store|engine|scheduler|runner|fairness|web|fleet|blobs|tls|peers]
set -euo pipefail
cd "$(dirname "$0")/.."
echo "machine: $(nproc) cores, $(awk -F': ' '/model name/{print $2; exit}' /proc/cpuinfo), kernel $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
for part in "${@:-hub events store engine scheduler runner}"; do
  for name in $part; do
    echo
    echo "## $name"
    case $name in
      peers) bench/peers/run.py build ;;
      fairness) bench/fairness.py build ;;
      blobs) bench/blobs.py build ;;
      web) bench/web.py build ;;
      *) "build/bin/${name}_bench" ;;
    esac
  done
done
