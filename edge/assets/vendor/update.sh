#!/usr/bin/env bash
# Fetches the chart library that the page uses, in the version written here. Needs npm and tar.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
version=1.6.32
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --pack-destination "$folder" "uplot@$version" >/dev/null
tar xzf "$folder/uplot-$version.tgz" -C "$folder"
cp "$folder/package/dist/uPlot.iife.min.js" uPlot.js
cp "$folder/package/dist/uPlot.min.css" uPlot.css
cp "$folder/package/LICENSE" uPlot.LICENSE
