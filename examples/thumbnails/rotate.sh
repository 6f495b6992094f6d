#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Turns one picture by 90, 180 or 270 degrees, clockwise: rotated/NAME.jpg among the job's files.
# Parameters: degrees, put into the command by geres.json; picture (default: the only input).
set -eu
. "$GERES_PACKAGE_DIR/picture.sh"

degrees=$1
case $degrees in 90 | 180 | 270) ;; *) give_up "degrees must be 90, 180 or 270, not '$degrees'" ;; esac

progress 5 "reading"
find_picture jpg
find_tool

progress 30 "turning"
case $tool in
  vips) vips rot "$in" "$out" "d$degrees" 2> .pictures/err || broken ;;
  *) "$tool" "$in[0]" -rotate "$degrees" "$out" 2> .pictures/err || broken ;;
esac
check_whole

progress 90 "writing"
mkdir -p "$GERES_OUTPUT_DIR/rotated"
mv -- "$out" "$GERES_OUTPUT_DIR/rotated/$name.jpg"
progress 100 "done"
finished "rotated/$name.jpg"
