#!/usr/bin/env bash
# The published official clients, which come without a token and find their way to one: registration, a person who logs
# in and decides, code and PKCE, refresh, client credentials, revocation; and where scopes are enforced, the step up to
# a scope that a tool needs, which ends after one more question, whatever the answer.
#
#   scripts/test_oauth.sh [--bin step7|step8|step9|step10]       steps 7 and 8 unless told otherwise
#
# Steps 9 and 10 run with Keycloak, whose pages are gone through in a real browser (KEYCLOAK_TEST_URL names one that runs).
#
# The person is scripts/clients/person.sh, or scripts/browser/person.mjs where a page has to be seen; both write down what
# they were asked. Needs node, npm and python3; what cannot be installed is skipped by name. rmcp does the same in
# steps/tests/rmcp/oauth.rs.
source "$(dirname "$0")/lib.sh"
bins=(step7)
# Until there is such a step, there is nothing to step up to.
! grep -q '"step8"' steps/Cargo.toml || bins+=(step8)
if [ "${1:-}" = --bin ]; then bins=("$2"); fi
build "${bins[@]}"
source scripts/clients/install.sh
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
export MCP_PERSON=$PWD/scripts/clients/person.sh MCP_BROWSER=$PWD/scripts/clients/browser.sh
export MCP_TOOLS='add echo get_time multiply whoami'
# How long an access token of the impatient server lives, and how much longer a server takes it: its leeway, and a second
# for those that count whole ones.
lifetime=2 leeway=31

# run CLIENT SCENARIO [VARIABLE=VALUE…]: a driver, in the background; $base is where it goes.
run() {
  local client=$1 scenario=$2 dir=$work/$1-$2
  shift 2
  case $client in
    *.mjs) runtime=$([ "$client" = inspector.mjs ] && echo "$inspector_node" || echo node) ;;
    *.py) runtime=$venv_python ;;
  esac
  mkdir -p "$dir"
  : >"$dir/visits"
  # A group of its own, for the cleanup: a driver may have children.
  set -m
  (
    env MCP_SUBJECT="$subject" MCP_ISSUER="$issuer" MCP_SCOPE=mcp:read MCP_FIRST='' "$@" PERSON_VISITS="$dir/visits" \
      PERSON_ANSWERS="$dir/answers" MCP_GRANTED="$dir/granted" \
      "$runtime" "$clients/oauth_$client" "$base/mcp" "$scenario" >"$dir/out" 2>"$dir/err" || echo $? >"$dir/code"
  ) &
  set +m
  servers+=($!)
  echo $! >"$dir/pid"
}

# outcome CLIENT SCENARIO [NAME]: waits for it and reports its checks; sets $name, $visits, $answers and $granted.
outcome() {
  local dir=$work/$1-$2
  name="${1%.*} ${3:-$2}"
  wait "$(cat "$dir/pid")" || true
  judged "$name" "$(cat "$dir/code" 2>/dev/null || echo 0)" "$dir/out" "$dir/err"
  granted=$(cat "$dir/granted" 2>/dev/null || echo '{}')
  answers=$(cat "$dir/answers" 2>/dev/null || true)
  # Another one of the same scenario may follow.
  visits=$work/visits
  mv "$dir/visits" "$visits"
  rm -r "$dir"
}

# asked N: the scopes that the person was asked for the Nth time, sorted.
asked() {
  sed -n "${1}p" "$visits" | sed -n 's/.*[?&]scope=\([^&]*\).*/\1/p' | sed 's/%3A/:/g; s/%20/ /g; s/+/ /g' | sorted
}
sorted() { tr ' ' '\n' | sort | xargs; }
few() {
  if [ "$(times)" -ge 1 ] && [ "$(times)" -le 3 ]; then
    ok "$name: the person was asked $(times) times, no more"
  else
    fail "$name: the person was asked $(times) times" 'at most two further questions are no loop'
  fi
}
times() { wc -l <"$visits" | tr -d ' '; }
held() { jq -r ".$1 // empty" <<<"$granted"; }

# with_offline CLIENT SCOPES: what a client asks for that wants a refresh token where there is one to be had.
with_offline() { case $1 in sdk_v1.mjs) echo "$2" ;; *) echo "$2 offline_access" ;; esac | sorted; }

# embedded BIN [ARGS…]: a server that is its own authorization server.
embedded() {
  start_server "$@"
  issuer=$base subject=alice
}

# metadata: what the authorization server says of itself, and the scopes that a client without a token is told of.
metadata() {
  server=$(curl -s "$issuer/.well-known/oauth-authorization-server")
  challenge=$(curl -s -o /dev/null -D - "$base/mcp" | sed -n 's/^www-authenticate: Bearer.* *scope="\([^"]*\)".*/\1/Ip')
  supported=$(curl -s "$base/.well-known/oauth-protected-resource/mcp" | jq -r '.scopes_supported | join(" ")')
}
endpoint() { jq -r ".$1_endpoint" <<<"$server"; }

introspect() {
  curl -s -u echo-mcp-server:echo-mcp-server-secret --data-urlencode "token=$1" "$(endpoint introspection)" |
    jq -c 'if .active then [.active, .username, .client_id] else . end'
}

# revoked: what $granted holds is worth something, and then nothing.
revoked() {
  local client token refresh secret
  client=$(held client_id) token=$(held access_token) refresh=$(held refresh_token) secret=$(held client_secret)
  # Keycloak gives a secret to whoever does not say that they can keep none.
  local itself=(-d "client_id=$client" ${secret:+-d "client_secret=$secret"})
  same "$name: its token is active" "[true,\"alice\",\"$client\"]" "$(introspect "$token")"
  same "$name: its token is revoked" 200 "$(curl -s -o /dev/null -w '%{http_code}' "${itself[@]}" \
    --data-urlencode "token=$token" "$(endpoint revocation)")"
  same "$name: its token is inactive" '{"active":false}' "$(introspect "$token")"
  [ -n "$refresh" ] || return 0
  curl -s "${itself[@]}" --data-urlencode "token=$refresh" "$(endpoint revocation)"
  same "$name: its refresh token is revoked" invalid_grant "$(curl -s -d grant_type=refresh_token "${itself[@]}" \
    --data-urlencode "refresh_token=$refresh" "$(endpoint token)" | jq -r .error)"
}

# The clients that can be run, and why the others cannot.
every=(sdk_v1.mjs client_v2.mjs mcp_client.py fastmcp_client.py inspector.mjs) those=()
for client in "${every[@]}"; do
  case $client in
    inspector.mjs) missing=$no_inspector ;;
    *.mjs) missing=$no_npm ;;
    *.py) missing=$no_pip ;;
  esac
  if [ -n "$missing" ]; then skip "${client%.*}" "$missing"; else those+=("$client"); fi
done

# Discovery, registration, a person, a token; a token that runs out; a token without a person; a token that is revoked.
find_the_way() {
  local client expired
  embedded step7 --key-dir "$work/keys" --access-token-lifetime "$lifetime"
  for client in "${those[@]}"; do
    # Python goes by the clock, and the others by what the server says.
    case $client in *.py) expired=$((lifetime + 1)) ;; *) expired=$((lifetime + leeway)) ;; esac
    run "$client" expiry MCP_EXPIRED=$expired
  done

  embedded step7 --key-dir "$work/keys"
  metadata
  for client in "${those[@]}"; do
    run "$client" code
    outcome "$client" code
    same "$name: the person was asked once" 1 "$(times)"
    case $client in
      # It does not wait to be told, and asks for everything that the resource knows.
      inspector.mjs) same "$name: asks for what the metadata names" "$(with_offline "$client" "$supported")" "$(asked 1)" ;;
      *) same "$name: asks for what the challenge names" "$(with_offline "$client" "$challenge")" "$(asked 1)" ;;
    esac
    same "$name: is granted what it asks for" "$(asked 1)" "$(held scope | sorted)"
    case $client in
      sdk_v1.mjs) same "$name: has no refresh token" '' "$(held refresh_token)" ;;
      *) same "$name: has a refresh token" 64 "$(held refresh_token | tr -d '\n' | wc -c | tr -d ' ')" ;;
    esac
    revoked

    if [ "$client" = inspector.mjs ]; then
      skip 'inspector credentials' 'the CLI has no client credentials'
      continue
    fi
    run "$client" credentials MCP_SUBJECT=service-account-echo-mcp-server
    outcome "$client" credentials
    same "$name: nobody was asked" 0 "$(times)"
    same "$name: is granted what it asks for" mcp:read "$(held scope)"
  done

  for client in "${those[@]}"; do
    outcome "$client" expiry
    case $client in
      # It has nothing to refresh with.
      sdk_v1.mjs) same "$name: the person was asked again" 2 "$(times)" ;;
      *) same "$name: the person was asked once" 1 "$(times)" ;;
    esac
  done
}

# A token that is enough to look, and not to call a tool.
step_up() {
  local client more
  embedded step8 --key-dir "$work/keys"
  metadata
  for client in "${those[@]}"; do
    # The Inspector asks for little only where it is told to, with MCP_FIRST.
    more=$(with_offline "$client" "$challenge mcp:tools")
    run "$client" step-up MCP_FIRST="$challenge"
    outcome "$client" step-up
    same "$name: the person was asked twice" 2 "$(times)"
    same "$name: asks for what the challenge names first" "$(with_offline "$client" "$challenge")" "$(asked 1)"
    same "$name: then for what the tool needs too" "$more" "$(asked 2)"
    same "$name: is granted that" "$more" "$(held scope | sorted)"

    run "$client" refused MCP_FIRST="$challenge" PERSON_DECIDES='allow deny'
    outcome "$client" refused 'denied by the person'
    same "$name: the person was asked twice" 2 "$(times)"

    # Their account has no role for tools: the answer to the second question is what they have already.
    run "$client" refused MCP_FIRST="$challenge" PERSON=bob
    outcome "$client" refused 'denied to the account'
    few

    [ "$client" != inspector.mjs ] || continue
    run "$client" credentials MCP_SUBJECT=service-account-echo-mcp-server MCP_SCOPE='mcp:read mcp:tools'
    outcome "$client" credentials
    same "$name: is granted what the tool needs" 'mcp:read mcp:tools' "$(held scope | sorted)"
  done
}

# with_keycloak BIN [ARGS…]: a server with a realm of its own; with $subject, alice's id.
with_keycloak() {
  local at tries
  at=$(free_port)
  provide keycloak "$at"
  start_program "$1" "$target/debug/$1" --port "$at" --keycloak-url "$provider_url" --realm "$realm" "${@:2}"
  # It fetches the keys by itself.
  for ((tries = 0; tries < 100; tries++)); do
    ! curl -s "$base/health" | jq -e '.jwks_available or .identity_provider.reachable' >/dev/null || break
    sleep 0.1
  done
  password alice
  subject=$(claims <<<"$token" | jq -r .sub)
}

# ours: the scopes on standard input that are about this server, sorted.
ours() { tr ' ' '\n' | grep ^mcp: | sort | xargs; }

# errors: what the authorization server has sent back instead of a code.
errors() { sed -n 's/.*[?&]error=\([^&]*\).*/\1/p' <<<"$answers"; }

# The same, where scopes are frozen at registration: the challenge names all of them, since a client can never ask for
# more. Its pages are seen by a browser, where there is one.
at_keycloak() {
  local bin=$1 client expired service person=$MCP_PERSON
  source scripts/provider.sh
  providers
  [ "${providers[*]: -1}" = keycloak ] || return 0
  # It makes the realm.
  build step9
  source scripts/browser/install.sh
  if [ -n "$no_browser" ]; then
    skip 'the pages in a browser' "$no_browser"
  else
    person=$PWD/$drivers/person.mjs
  fi

  with_keycloak "$bin"
  admin PUT "$realm" -H 'Content-Type: application/json' -d "{\"accessTokenLifespan\": $lifetime}"
  for client in "${those[@]}"; do
    case $client in *.py) expired=$((lifetime + 1)) ;; *) expired=$((lifetime + leeway)) ;; esac
    run "$client" expiry MCP_EXPIRED=$expired
  done

  with_keycloak "$bin"
  metadata
  same 'a client is told of every scope at once' 'mcp:read mcp:tools mcp:prompts mcp:run' "$challenge"
  service=$(curl -s "$(endpoint token)" -u echo-mcp-server:echo-mcp-server-secret -d grant_type=client_credentials |
    jq -r .access_token | claims | jq -r .sub)
  # No scope of this server has put the server's name into it.
  password guest
  same 'an account without a role gets a token all the same, which is for nobody' '200 401 the token is for another audience' "$status $(
    curl -s -o "$work/body" -w '%{http_code}' "$base/mcp" -H "Authorization: Bearer $token"
  ) $(jq -r .error.message <"$work/body")"
  for client in "${those[@]}"; do
    run "$client" code MCP_PERSON="$person"
    outcome "$client" code
    same "$name: the person was asked once" 1 "$(times)"
    same "$name: asks for what the challenge names" "$(with_offline "$client" "$challenge")" "$(asked 1)"
    same "$name: is granted what it asks for" "$(asked 1)" "$(held scope | sorted)"
    same "$name: has a refresh token" 2 "$(held refresh_token | tr -cd . | wc -c | tr -d ' ')"
    revoked

    run "$client" denied MCP_PERSON="$person" PERSON_DECIDES=deny
    outcome "$client" denied
    same "$name: the person was asked once" 1 "$(times)"
    same "$name: and said no" access_denied "$(errors)"

    if [ "$client" = inspector.mjs ]; then
      skip 'inspector credentials' 'the CLI has no client credentials'
    else
      run "$client" credentials MCP_SUBJECT="$service" MCP_SCOPE='mcp:read mcp:tools'
      outcome "$client" credentials
      same "$name: nobody was asked" 0 "$(times)"
      case $client in
        # They were told what to ask for, and ask for what the challenge names.
        client_v2.mjs | mcp_client.py) same "$name: is granted what it asks for" "$(ours <<<"$challenge")" "$(held scope | ours)" ;;
        *) same "$name: is granted what it asks for" 'mcp:read mcp:tools' "$(held scope | ours)" ;;
      esac
    fi

    # His account has no role for tools.
    run "$client" refused PERSON=bob
    outcome "$client" refused 'denied to the account'
    few

    run "$client" denied PERSON=guest
    outcome "$client" denied 'a token for nothing'
    few
    same "$name: and was let in each time" "$(times)" "$(grep -c '[?&]code=' <<<"$answers")"
  done

  for client in "${those[@]}"; do
    outcome "$client" expiry
    same "$name: the person was asked once" 1 "$(times)"
  done

  # A client of the realm's own may ask for more later.
  with_keycloak "$bin" --initial-scopes least
  metadata
  for client in "${those[@]}"; do
    if [ "$client" = sdk_v1.mjs ]; then
      skip 'sdk_v1 step-up' 'with a refresh token it refreshes, and asks nobody'
      continue
    fi
    run "$client" step-up MCP_FIRST="$challenge" MCP_CLIENT=mcp-test-client
    outcome "$client" step-up
    same "$name: the person was asked twice" 2 "$(times)"
    same "$name: asks for what the challenge names first" "$(with_offline "$client" "$challenge")" "$(asked 1)"
    # And for what it was given without asking, which is the realm's affair.
    same "$name: then for what the tool needs too" 'mcp:read mcp:tools' "$(asked 2 | ours)"
    same "$name: is granted that" 'mcp:read mcp:tools' "$(held scope | ours)"

    # One that has registered may not: this is why all are named at once.
    run "$client" refused MCP_FIRST="$challenge"
    outcome "$client" refused 'registered for less'
    same "$name: is sent back" invalid_scope "$(errors)"
  done
}

for bin in "${bins[@]}"; do
  case $bin in
    step7) find_the_way ;;
    step8) step_up ;;
    step9 | step10) at_keycloak "$bin" ;;
    *) echo "$0: $bin has no authorization server, or needs a test of its own" >&2; exit 2 ;;
  esac
done
summary
