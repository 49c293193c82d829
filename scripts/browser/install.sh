# Sourced after lib.sh: puts the pinned driver of the browser and a copy of the scripts here into $drivers, and exports
# CHROMIUM, the browser's program. What this machine lacks is no error: $no_browser then says what, and what to do about it.

shots=$target/browser
drivers=$target/browser/drivers
no_browser=''

# A driver finds its packages in the node_modules beside it.
install_browser() {
  local pins=scripts/browser sum
  mkdir -p "$drivers"
  cp "$pins"/package.json "$pins"/package-lock.json "$pins"/.npmrc "$pins"/*.mjs "$drivers"
  sum=$(cd "$pins" && cat package.json package-lock.json .npmrc | cksum)
  [ "$(cat "$drivers/stamp" 2>/dev/null)" != "$sum" ] || return 0
  echo "installing the browser's driver into $drivers" >&2
  rm -f "$drivers/stamp"
  # Nothing is downloaded but packages, and none of their scripts runs.
  (cd "$drivers" && npm ci --ignore-scripts --no-audit --no-fund) >"$shots/npm.log" 2>&1 || return 1
  echo "$sum" >"$drivers/stamp"
}

for name in chromium chromium-browser google-chrome; do
  if CHROMIUM=$(command -v "$name"); then break; fi
done
export CHROMIUM
if [ -z "$CHROMIUM" ]; then
  no_browser='needs Chromium; install it (chromium) and run again'
elif ! node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! command -v npm >/dev/null; then
  no_browser='needs Node >= 20 and npm; install them and run again'
elif ! install_browser; then
  no_browser="npm ci failed, see $shots/npm.log; it needs the npm registry or a mirror of it (npm config set registry)"
fi
