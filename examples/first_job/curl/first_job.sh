#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Submits a job, tells how it goes, prints its result: curl for HTTP, jq for JSON.
#   first_job.sh NAME      (GERES_HUB and GERES_TOKEN say where and who)
set -eu

# [submit]
hub() { echo "Authorization: Bearer $GERES_TOKEN" | curl --silent --show-error --fail-with-body --header @- "$@"; }
of() { printf '%s' "$job" | jq --raw-output "$1"; }

spec=$(jq --null-input --arg name "$1" '{tenant: "demo", type: "Greet", package: "greet", parameters: {name: $name}}')
job=$(hub "$GERES_HUB/v1/jobs" --header 'Content-Type: application/json' --data "$spec")
# [submit]

# [follow]
# Each answer comes as soon as something has changed, at the latest after 30 s.
told=
while [ "$(of '.state | IN("finished", "failed", "cancelled")')" = false ]; do
  job=$(hub "$GERES_HUB/v1/jobs/$(of .id)?wait=30s&sinceVersion=$(of .version)")
  progress=$(of '.progress // empty | "\(.percent) % \(.message)"')
  [ "$progress" = "$told" ] || echo "$progress"
  told=$progress
done
# [follow]

# [result]
of '.result // .error'
[ "$(of .state)" = finished ]
# [result]
