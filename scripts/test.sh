#!/usr/bin/env bash
# Every test of the repository.
#
#   scripts/test.sh           minutes; needs cargo, curl and jq
#   scripts/test.sh --full    adds official clients, the conformance suite, a browser, a FastMCP server under attack, and
#                             Keycloak; needs python3, npm, chromium, nginx, Java 17 and Maven (or Docker), and the
#                             network too
#
# One Keycloak runs for all that can use one; without --full, only if it need not be downloaded. What cannot run on this
# machine is skipped by name and counted. The last line is `N passed, N failed, N skipped`.
set -euo pipefail
cd "$(dirname "$0")/.."
full=false
case "${1:-}" in
  '') ;;
  --full) full=true ;;
  *) echo "usage: scripts/test.sh [--full]" >&2; exit 2 ;;
esac

passed=0 failed=0 skipped=0
skips=() broken=()
log=$(mktemp)
state=$(mktemp -d)
trap 'scripts/keycloak.sh stop --state "$state" >/dev/null 2>&1; rm -rf "$log" "$state"' EXIT

# section NAME COMMAND…: runs it, shows it, and adds up what it counted. The command's own exit code decides too, so
# that a section which dies before it has counted anything is a failure.
section() {
  local name=$1 begun=$SECONDS code=0 p=0 f=0 s=0 line
  shift
  printf '\n== %s\n' "$name"
  "$@" >"$log" 2>&1 || code=$?
  cat "$log"
  while IFS= read -r line; do
    # Our scripts' closing line, or cargo's.
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] ||
      [[ $line =~ ^test\ result:\ .*\ ([0-9]+)\ passed\;\ ([0-9]+)\ failed\;\ ([0-9]+)\ ignored ]]; then
      p=$((p + BASH_REMATCH[1])) f=$((f + BASH_REMATCH[2])) s=$((s + BASH_REMATCH[3]))
    elif [[ $line =~ ^\ *SKIP\ +(.*) ]] || [[ $line =~ ^test\ (.*)\ \.\.\.\ ignored ]]; then
      skips+=("$name: ${BASH_REMATCH[1]}")
    fi
  done <"$log"
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  if [ "$code" -eq 0 ] && [ $((p + f + s)) -eq 0 ]; then
    echo "this section counted nothing"
    f=1
  fi
  [ "$f" -eq 0 ] || broken+=("$name")
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf -- '-- %s: %d s\n' "$name" $((SECONDS - begun))
}

printf '\n== build\n'
begun=$SECONDS
cargo build --workspace --all-targets
printf -- '-- build: %d s\n' $((SECONDS - begun))

printf '\n== Keycloak\n'
begun=$SECONDS
source scripts/provider.sh
download=(--no-download)
! $full || download=()
ignored=()
if run_keycloak "$state" ${download[@]+"${download[@]}"}; then
  ignored=(-- --include-ignored)
else
  # Found out once for all.
  export KEYCLOAK_TEST_URL=none
fi
printf -- '-- Keycloak: %d s\n' $((SECONDS - begun))

section 'cargo test' cargo test --workspace --no-fail-fast ${ignored[@]+"${ignored[@]}"}
for step in {1..11}; do section "step$step" "scripts/test_step$step.sh"; done
section 'mcp-idp' scripts/test_idp.sh
if $full; then
  # First of these, since it installs what the others use.
  section 'official clients' scripts/test_clients.sh
  section 'official clients with a token' scripts/test_clients.sh --bin step6
  section 'official clients log in at step 7' scripts/test_oauth.sh --bin step7
  section 'official clients log in at step 8' scripts/test_oauth.sh --bin step8
  section 'official clients log in at Keycloak' scripts/test_oauth.sh --bin step10
  section 'browser' scripts/test_browser.sh
  section 'Keycloak scripts' scripts/test_keycloak.sh
  section 'faults' scripts/test_faults.sh
  section 'attack list' scripts/attack.sh --full
  section 'conformance' scripts/conformance.sh
  section 'conformance of the client' scripts/conformance_client.sh
  section 'README and chapters' scripts/test_docs.sh --full
else
  section 'attack list' scripts/attack.sh
  section 'README and chapters' scripts/test_docs.sh
  for name in 'official clients' 'official clients with a token' 'official clients log in at step 7' \
    'official clients log in at step 8' 'official clients log in at Keycloak' browser 'Keycloak scripts' faults \
    conformance 'conformance of the client'; do
    skipped=$((skipped + 1))
    skips+=("$name: scripts/test.sh --full runs it")
  done
fi

printf '\n== summary: %d s\n' $SECONDS
for line in ${skips[@]+"${skips[@]}"}; do echo "skipped: $line"; done
for line in ${broken[@]+"${broken[@]}"}; do echo "failed: $line"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
