#!/usr/bin/env bash
# The pages of mcp-idp in Chromium: what they look like, and the whole way of a login through step7.
#
#   scripts/test_browser.sh            both
#   scripts/test_browser.sh --pages    the rendered pages alone
#
# axe-core judges every page, light and dark, wide and narrow. Pictures are left in target/browser/. Needs chromium, and
# node and npm; what is missing is skipped by name. Pins: scripts/browser/.
source "$(dirname "$0")/lib.sh"
pages_only=false
case "${1:-}" in
  '') ;;
  --pages) pages_only=true ;;
  *) echo "usage: scripts/test_browser.sh [--pages]" >&2; exit 2 ;;
esac
pins=scripts/browser
drivers=$target/browser/drivers
shots=$target/browser

# missing: what this machine lacks, if anything, and what to do about it.
missing() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if CHROMIUM=$(command -v "$name"); then break; fi
  done
  if [ -z "$CHROMIUM" ]; then
    missing='needs Chromium; install it (chromium) and run again'
  elif ! node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! command -v npm >/dev/null; then
    missing='needs Node >= 20 and npm; install them and run again'
  elif ! install; then
    missing="npm ci failed, see $shots/npm.log; it needs the npm registry or a mirror of it (npm config set registry)"
  fi
}

# A driver finds its packages in the node_modules beside it.
install() {
  local sum
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

CHROMIUM='' missing=''
missing
if [ -n "$missing" ]; then
  skip pages "$missing"
  $pages_only || skip flow "$missing"
  summary
  exit
fi
# A proxy for the world outside has no way to this machine's servers.
export CHROMIUM SHOTS=$shots no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
rm -f "$shots"/*.png

# The unit tests render every page in every state, and leave them there.
rm -rf "$target/pages"
cargo test --quiet --package mcp-idp --lib pages::tests::for_the_browser >"$work/render" 2>&1 || true
if [ -f "$target/pages/headers.json" ]; then
  driven pages node "$drivers/pages.mjs" "$target/pages"
else
  fail 'pages are rendered' "$(tail -n 20 "$work/render")"
fi

if ! $pages_only; then
  build step7
  start_server step7 --key-dir "$work/keys"
  driven flow node "$drivers/flow.mjs" "$base"
fi
summary
