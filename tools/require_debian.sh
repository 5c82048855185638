#!/usr/bin/env bash
# Make sure the Debian packages for a purpose are there: as root they are installed, else they are named.
# Usage: require_debian.sh python|display
set -euo pipefail
case "${1:?purpose}" in
  python) needed="python3-venv" ;;
  # napari draws with OpenGL: a virtual screen, Mesa's software renderer, and the libraries Qt's xcb plugin loads.
  display) needed="xvfb xauth libgl1 libgl1-mesa-dri libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libxcb-xfixes0" ;;
  *) echo "unknown purpose $1" >&2; exit 2 ;;
esac
# A python that can make virtual environments needs no Debian package.
if [ "$1" = python ] && python3 -c "import ensurepip, venv" 2>/dev/null; then exit 0; fi
command -v dpkg-query >/dev/null || { echo "not a Debian system: install the equivalents of: $needed" >&2; exit 0; }
missing=""
for package in $needed; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "please install these Debian packages first: sudo apt-get install$missing" >&2
  exit 1
fi
