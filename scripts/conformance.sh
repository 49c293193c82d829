#!/usr/bin/env bash
# The official conformance suite in both eras: against step 4 as it is, and against a server with the fixtures that the
# suite's tool and prompt scenarios ask for (crates/mcp-core/examples/conformance.rs). And its part for authorization
# servers: against the one inside of step 7, against mcp-idp on its own, and against Keycloak with the same realm.
#
# What fails must be what scripts/conformance/*.yml list with a reason, no more and no less. The suite is pinned in
# scripts/clients/ and needs Node >= 22 and npm. Its own results stay in target/conformance/.
source "$(dirname "$0")/lib.sh"
source scripts/clients/install.sh
# The suite wants what the Inspector wants: the packages from npm, and a new enough Node.
if [ -n "$no_inspector" ]; then
  skip conformance "$no_inspector"
  summary
  exit
fi
# A proxy for the world outside has no way to these servers.
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1

suite() { "$inspector_node" "$clients/node_modules/@modelcontextprotocol/conformance/dist/index.js" "$@"; }

# minus LISTED ROWS: the rows whose first column is not listed.
minus() { awk -F '\t' 'FILENAME == ARGV[1] { listed[$1]; next } !($1 in listed)' "$1" "$2"; }

# conform SERVER URL REVISION [SCENARIO…]: one run of the suite, judged scenario by scenario.
#
# The suite judges too, and its verdict counts, but it does not see everything: an entry for a check that no longer runs
# is fine with it, and so is whatever its frozen set does not score. The scenarios named here are judged nevertheless.
conform() {
  local server=$1 revision=$3 url=$2 name="$1 $3" code=0 scored scenario checks passed_checks
  local all=0 pass=0 known=0 all_passed=0 unlisted stale
  shift 3
  local baseline=scripts/conformance/$server-$revision.yml results=$target/conformance/$server-$revision
  scored=$(suite list --server --requirements "$revision" | sed -n '/^Server scenarios/,/^$/s/^  - //p')
  rm -rf "$results"
  mkdir -p "$results"
  suite server --url "$url" --requirements "$revision" --expected-failures "$baseline" -o "$results" \
    >"$results/output.txt" 2>&1 || code=$?

  sed -n 's/^ *- *\([^ ]*\).*/\1/p' "$baseline" >"$work/listed"
  : >"$work/failing"
  for scenario in $scored "$@"; do
    all=$((all + 1))
    checks=$(find "$results" -path "$results/server-$scenario-20*/checks.json")
    if [ -z "$checks" ]; then
      fail "$name $scenario" "no result; see $results/output.txt"
      continue
    fi
    # A warning is what the server should do and does not; that needs a reason as well.
    jq -r --arg scenario "$scenario" '.[] | select(.status == "FAILURE" or .status == "WARNING") |
      ["\($scenario):\(.id)", "\(.status): \(.errorMessage // .description)"] | @tsv' "$checks" >"$work/failing_here"
    cat "$work/failing_here" >>"$work/failing"
    passed_checks=$(jq 'map(select(.status == "SUCCESS")) | length' "$checks")
    all_passed=$((all_passed + passed_checks))
    unlisted=$(minus "$work/listed" "$work/failing_here")
    if [ -n "$unlisted" ]; then
      fail "$name $scenario" "$unlisted"
    elif [ -s "$work/failing_here" ]; then
      known=$((known + 1))
      printf '  known %s %s: %d failing, as in the baseline; %d passing\n' \
        "$name" "$scenario" "$(wc -l <"$work/failing_here")" "$passed_checks"
    elif [ "$passed_checks" -eq 0 ]; then
      fail "$name $scenario" 'nothing was checked'
    else
      pass=$((pass + 1))
      ok "$name $scenario ($passed_checks checks)"
    fi
  done

  stale=$(minus "$work/failing" "$work/listed")
  same "$name: the baseline has no entry that does not fail" '' "$stale"
  same "$name: the suite itself agrees" 0 "$code"
  printf '  --    %s: %d of %d scenarios pass, %d need the baseline; %d checks pass, %d are in the baseline\n' \
    "$name" "$pass" "$all" "$known" "$all_passed" "$(wc -l <"$work/listed")"
}

# authorize NAME ISSUER METADATA RESOURCE: the suite's part for authorization servers, judged scenario by scenario: every
# check passes that its baseline does not list, and ours have none. Its person is scripts/clients/person.sh, at the URL
# that the suite prints.
authorize() {
  local name="authorization $1" issuer=$2 metadata=$3 resource=$4 results=$target/conformance/authorization-$1
  local client url='' tries suite_pid code=0 scenario checks unlisted passed_checks listed=scripts/conformance/authorization-$1.yml
  rm -rf "$results"
  mkdir -p "$results"
  # It has to be registered before; the suite listens there.
  client=$(curl -s "$(curl -s "$metadata" | jq -r .registration_endpoint)" -H 'Content-Type: application/json' \
    -d '{"client_name": "conformance", "redirect_uris": ["http://127.0.0.1:3999/callback"],
      "token_endpoint_auth_method": "none"}' | jq -r .client_id)
  set -m
  suite authorization --url "$issuer" --client-id "$client" --resource "$resource" -p 3999 -o "$results" \
    >"$results/output.txt" 2>&1 &
  set +m
  suite_pid=$!
  servers+=("$suite_pid")
  for ((tries = 0; tries < 300; tries++)); do
    url=$(grep -m 1 '^http.*[?&]response_type=code' "$results/output.txt" || true)
    if [ -n "$url" ] || ! kill -0 "$suite_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  if [ -n "$url" ] && ! scripts/clients/browser.sh "$url"; then
    # It would wait for five minutes.
    kill -- "-$suite_pid"
  fi
  wait "$suite_pid" || code=$?

  : >"$work/listed"
  [ ! -f "$listed" ] || sed -n 's/^ *- *\([^ ]*\).*/\1/p' "$listed" >"$work/listed"
  : >"$work/failing"
  for scenario in $(suite list --authorization | sed -n 's/^  - \([^ ]*\).*/\1/p'); do
    checks=$(find "$results" -path "*$scenario*/checks.json")
    if [ -z "$checks" ]; then
      fail "$name $scenario" "no result; see $results/output.txt"
      continue
    fi
    # A warning or a check that was skipped is none that passed.
    jq -r --arg scenario "$scenario" '.[] | select(.status != "SUCCESS" and .status != "INFO") |
      ["\($scenario):\(.id)", "\(.status): \(.errorMessage // .description)"] | @tsv' "$checks" >"$work/failing_here"
    cat "$work/failing_here" >>"$work/failing"
    unlisted=$(minus "$work/listed" "$work/failing_here")
    passed_checks=$(jq 'map(select(.status == "SUCCESS")) | length' "$checks")
    if [ -n "$unlisted" ] || [ "$passed_checks" -eq 0 ]; then
      fail "$name $scenario" "${unlisted:-nothing was checked}"
    elif [ -s "$work/failing_here" ]; then
      printf '  known %s %s: %d failing, as in the baseline; %d passing\n' \
        "$name" "$scenario" "$(wc -l <"$work/failing_here")" "$passed_checks"
    else
      ok "$name $scenario ($passed_checks checks)"
    fi
  done
  same "$name: the baseline has no entry that does not fail" '' "$(minus "$work/failing" "$work/listed")"
  same "$name: the suite itself agrees" 0 "$code"
}

build step4
start_server step4
conform step4 "$base/mcp" 2026-07-28 http-header-validation
conform step4 "$base/mcp" 2025-11-25

cargo build --quiet -p mcp-core --example conformance
RUST_LOG=info start_program fixture "$target/debug/examples/conformance" 0
conform fixture "$base/mcp" 2026-07-28 http-header-validation json-schema-2020-12
conform fixture "$base/mcp" 2025-11-25 json-schema-2020-12 server-session-lifecycle

build step7
start_server step7 --key-dir "$work/keys"
metadata=.well-known/oauth-authorization-server
authorize embedded "http://localhost:$port" "$base/$metadata" "http://localhost:$port/mcp"

cargo build --quiet -p mcp-idp
start_program mcp-idp "$target/debug/mcp-idp" --realm-file keycloak/mcp-realm-realm.json --port 0 --key-dir "$work/keys" \
  --allow-password-grant
authorize standalone "http://localhost:$port/realms/mcp-realm" "$base/$metadata/realms/mcp-realm" \
  http://localhost:9000/mcp

source scripts/provider.sh
providers
if [ "${providers[*]: -1}" = keycloak ]; then
  build step9
  provide keycloak 9000
  authorize keycloak "$issuer" "$issuer/.well-known/oauth-authorization-server" http://localhost:9000/mcp
fi
summary
