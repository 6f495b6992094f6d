#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a small copy of one picture: thumb/NAME.jpg among the job's files.
# Parameters: picture (default: the only input), size (longest side in pixels, 256), format (jpg, png or webp).
set -eu
. "$GERES_PACKAGE_DIR/picture.sh"

size=${GERES_PARAM_size:-256}
format=${GERES_PARAM_format:-jpg}
case $size in
  '' | *[!0-9]* | ?????*) give_up "size must be a number of pixels from 1 to 9999, not '$size'" ;;
esac
[ "$size" -gt 0 ] || give_up "size must be a number of pixels from 1 to 9999, not '$size'"
case $format in jpg | png | webp) ;; *) give_up "format must be jpg, png or webp, not '$format'" ;; esac

progress 5 "reading"
find_picture "$format"
find_tool

progress 30 "resizing"
case $tool in
  vips) vipsthumbnail "$in" --size "${size}x${size}>" -o "$out[strip]" > /dev/null 2> .pictures/err || broken ;;
  *) "$tool" "$in[0]" -auto-orient -thumbnail "${size}x${size}>" "$out" 2> .pictures/err || broken ;;
esac
check_whole

progress 90 "writing"
mkdir -p "$GERES_OUTPUT_DIR/thumb"
mv -- "$out" "$GERES_OUTPUT_DIR/thumb/$name.$format"
progress 100 "done"
finished "thumb/$name.$format"
