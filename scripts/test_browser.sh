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
source scripts/browser/install.sh
if [ -n "$no_browser" ]; then
  skip pages "$no_browser"
  $pages_only || skip flow "$no_browser"
  summary
  exit
fi
# A proxy for the world outside has no way to this machine's servers.
export SHOTS=$shots no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
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
