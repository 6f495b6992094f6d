# SPDX-License-Identifier: Apache-2.0
# What both jobs need: progress, ways to end,, the picture, the tool. Read by the others, not run.

progress() {
  if [ -n "${GERES_PROGRESS:-}" ]; then echo "$*" >> "$GERES_PROGRESS"; fi
}

# The last line on standard error is what people see as the job's error. 60 says: another try would not help.
give_up() { echo "$*" >&2; exit 60; }
try_again() { echo "$*" >&2; exit 1; }

finished() { printf '%s\n' "$*" > "$GERES_RESULT"; }

# The parameter `picture`, else the only input there is. Sets $picture (its name), $name (without folder and ending),
# $in and $out (with the given ending): names that no tool can misread, whatever the picture is called.
find_picture() {
  picture=${GERES_PARAM_picture:-}
  if [ -z "$picture" ]; then
    [ "$(find -L . -type f | wc -l)" -eq 1 ] || give_up "which picture? give the parameter 'picture', or exactly one input"
    picture=$(find -L . -type f)
  fi
  picture=${picture#./}
  [ -f "./$picture" ] || give_up "there is no input called '$picture'"
  [ -s "./$picture" ] || give_up "$picture is empty"
  name=${picture##*/}
  name=${name%.*}
  mkdir -p .pictures
  in=$PWD/.pictures/in
  out=$PWD/.pictures/out.$1
  cp -- "./$picture" "$in"
}

# Whether the file begins like any picture we know of.
begins_like_a_picture() {
  first=$(od -A n -t x1 -N 12 "$in" | tr -d ' \n')
  case $first in
    ffd8ff* | 89504e47* | 47494638* | 52494646????????57454250 | 49492a00* | 4d4d002a* | 424d* | ????????66747970*) ;;
    *) return 1 ;;
  esac
}

# Trouble of this machine may pass; a picture that cannot be read stays so.
broken() {
  words=$(tr -d '\r' < .pictures/err | grep -v '^ *$' | sed -e 's/^.*WARNING [^ ]*: [0-9:.]*: //' -e "s|$in|the file|g" | tail -n 1 | cut -c 1-300)
  case $words in *'o space'* | *'emory'* | *'cache resources'*) try_again "$picture: $words" ;; esac
  begins_like_a_picture || give_up "$picture is not a picture: it begins with 0x$(echo "$first" | cut -c 1-8)"
  give_up "$picture is broken: ${words:-the tool did not say why}"
}

# vips and its kin take a file that is cut short for a grey one, with a mere warning.
check_whole() {
  if [ ! -s "$out" ] || grep -q -i -e 'premature end' -e 'truncated' -e 'corrupt' .pictures/err; then broken; fi
}

# Which tool does the work here: vips, magick, convert.
find_tool() {
  if command -v vipsthumbnail > /dev/null && command -v vips > /dev/null; then
    tool=vips
  elif command -v magick > /dev/null; then
    tool=magick
  elif command -v convert > /dev/null; then
    tool=convert
  else
    try_again "neither libvips (vipsthumbnail) nor ImageMagick (convert) is installed on this host"
  fi
}
