#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo: a hub and a host of its own, photographs that Debian ships, one job each, live bars, thumbnails in a folder,
# and one broken picture that ends as a dead letter with its reason. `./dev demo` builds first and then runs this; with
# --azurite or --s3 the package and the thumbnails are in an object store that is started for the while.
set -euo pipefail
cd "$(dirname "$0")/.."

demo=$PWD/.demo
geres=$PWD/build/bin/geres
rm -rf "$demo"
mkdir -p "$demo/photos"

# Photographs of Debian's package mate-backgrounds; without it, some drawn by vips.
count=0
for photo in /usr/share/backgrounds/mate/nature/*.jpg /usr/share/backgrounds/mate/abstract/*.jpg; do
  [ -f "$photo" ] || continue
  ln -s "$photo" "$demo/photos/$(basename "$photo")"
  count=$((count + 1))
done
if [ $count = 0 ]; then
  for n in 1 2 3 4 5 6 7 8; do vips gaussnoise "$demo/photos/noise$n.jpg" 1600 1200 --mean $((n * 25)) --sigma 40; done
fi
printf 'This is no picture.\n' >"$demo/photos/broken.jpg"

blobs=()
fact() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$facts" "$1"; }
case ${1:-} in
  "") ;;
  --azurite)
    coproc server { exec python3 tests/servers/azurite.py --container demo; }
    read -r facts <&"${server[0]}"
    AZURE_STORAGE_KEY=$(fact key)
    export AZURE_STORAGE_KEY
    blobs=(--blobs "azure:$(fact account)/demo?endpoint=$(fact endpoint)")
    ;;
  --s3)
    coproc server { exec python3 tests/servers/radosgw.py; }
    read -r facts <&"${server[0]}"
    AWS_ACCESS_KEY_ID=$(fact access_key)
    AWS_SECRET_ACCESS_KEY=$(fact secret_key)
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    blobs=(--blobs "s3:$(fact bucket)/demo?endpoint=$(fact endpoint)&region=$(fact region)")
    ;;
  *) echo "usage: ./dev demo [--azurite | --s3]" >&2; exit 2 ;;
esac
[ ${#blobs[@]} = 0 ] || echo "Packages and files are in ${blobs[1]}"

"$geres" up --data "$demo/data" --listen 127.0.0.1:0 "${blobs[@]}" >"$demo/up.txt" 2>"$demo/up.log" &
up=$!
stop() {
  kill "$up" 2>/dev/null || true
  wait "$up" 2>/dev/null || true
}
trap stop EXIT
for _ in $(seq 200); do
  grep -q Next "$demo/up.txt" && break
  kill -0 $up 2>/dev/null || { cat "$demo/up.txt" "$demo/up.log" >&2; exit 1; }
  sleep 0.05
done
sed '/^Ctrl-C/d; /Next/d' "$demo/up.txt"

GERES_HUB=$(sed -n 's/.*API *\(http:[^ ]*\).*/\1/p' "$demo/up.txt" | head -1)
GERES_TOKEN=$(cat "$demo/data/admin.token")
export GERES_HUB GERES_TOKEN XDG_STATE_HOME=$demo/state

step() {
  printf '\n$ geres'
  local word
  for word in "${@/#$PWD\//}"; do
    case $word in *[*{]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
  done
  printf '\n'
  "$geres" "$@"
}

step package push demo examples/thumbnails
step batch create photos --tenant demo
step submit --tenant demo --type Thumbnail --package thumbnails --batch photos --max-attempts 2 \
  --param picture={input} --each-input "$demo/photos/*.jpg"
step watch --batch photos || true # one of them is broken: that is the point

for id in $("$geres" job list --tenant demo --batch photos --state finished --output json |
  python3 -c 'import json,sys; print("\n".join(j["id"] for j in json.load(sys.stdin)["items"]))'); do
  "$geres" job files "$id" --out "$demo/thumbnails" >/dev/null 2>&1
done

step job list --tenant demo --batch photos --state failed
echo
echo "$(find "$demo/thumbnails" -type f | wc -l) thumbnails in .demo/thumbnails"
