#!/usr/bin/env bash
# Step 11: a client that is given a URL and finds its way to a token. Against step 8 with its own authorization server;
# and the same assertions against step 9 with mcp-idp and, where it can be had, Keycloak before it.
source "$(dirname "$0")/lib.sh"
build step8 step9 step11
source scripts/provider.sh
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
unset MCP_CLIENT_SECRET

# The browser is a person with curl: what they were asked is in $work/visits, who they are in PERSON.
cat >"$work/browser" <<END
#!/usr/bin/env bash
export PERSON_VISITS=$work/visits
answer=\$($PWD/scripts/clients/person.sh "\$1") && curl -s -o "$work/closing" "\$answer"
END
chmod +x "$work/browser"
export BROWSER=$work/browser
: >"$work/visits"

# client ARGS…: step 11 before $base/mcp; sets $out, $err, $code.
client() {
  code=0
  timeout 60 "$target/debug/step11" "$base/mcp" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  out=$(cat "$work/out") err=$(cat "$work/err")
}
visits() { wc -l <"$work/visits" | tr -d ' '; }
# asked N: the scopes that the person was asked for the Nth time.
asked() { sed -n "${1}p" "$work/visits" | sed -n 's/.*[?&]scope=\([^&]*\).*/\1/p' | sed 's/%3A/:/g; s/+/ /g'; }
# says NAME CODE TEXT: how the client ended, and what it said about it.
says() {
  case $code/$err in
    "$2"/*"$3"*) ok "$1" ;;
    *) fail "$1" "exit $code: $err$out" ;;
  esac
}
# shown_url [N]: waits until all of the Nth is there; sets $url.
shown_url() {
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    [ "$(grep -c '^If your browser' "$work/err")" -lt "${1:-1}" ] || break
    sleep 0.1
  done
  url=$(grep -o 'http://[^ ]*authorize?[^ ]*' "$work/err" | sed -n "${1:-1}p")
}
# Each person has a cache of their own.
cache() { args=(--cache-dir "$work/cache-$1"); }
mode() { stat -c %a "$1" 2>/dev/null || stat -f %Lp "$1" 2>/dev/null || echo none; }

# whole_story NAME LEAST: what is the same at every provider; LEAST is what a client is told to ask for first.
whole_story() {
  local name=$1 least=$2 first before
  : >"$work/visits"
  cache "$name"
  client "${args[@]}"
  same "$name: a login, the tools, and two calls" '0 echo: hello' "$code $(grep '^echo: ' <<<"$out" || echo "$err")"
  same "$name: the server knows who is calling" alice "$(sed -n 's/^whoami: //p' <<<"$out" | jq -r .name)"
  same "$name: what the person was asked for first" "$least" "$(asked 1 | sed 's/ *offline_access//')"
  first=$(visits)
  client "${args[@]}" --call add --arg a=2 --arg b=40
  same "$name: the next run asks nobody" "0 42 $first" "$code $(jq -r .result <<<"$out" 2>/dev/null || echo "$err") $(visits)"
  same "$name: the cache is its owner's alone" '700 600' "$(mode "$work/cache-$name") $(mode "$work/cache-$name"/*.json)"
  client "${args[@]}" --list
  same "$name: only the list" 'add echo get_time multiply whoami' "$(awk '{ print $1 }' <<<"$out" | sort | xargs)"

  find "$work/cache-$name" -name '*.json' -exec sh -c 'echo "{" >"$1"' - {} \;
  client "${args[@]}" --list
  says "$name: a broken cache is told of, and the client goes on" 0 'it is ignored'

  before=$(visits)
  PERSON_DECIDES=deny client --no-cache
  says "$name: a no is a no, and has an exit code of its own" 3 denied
  same "$name: and is asked for once" $((before + 1)) "$(visits)"

  MCP_CLIENT_SECRET=echo-mcp-server-secret client --client-id echo-mcp-server --client-credentials --issuer "$issuer" --call whoami
  same "$name: a client in its own name" '0 service-account-echo-mcp-server' \
    "$code $(jq -r '.name // .subject' <<<"$out" 2>/dev/null || echo "$err")"
  MCP_CLIENT_SECRET=wrong client --client-id echo-mcp-server --client-credentials --issuer "$issuer"
  case $code/$err in
    1/*invalid_client* | 1/*unauthorized_client*) ok "$name: with the wrong secret, an error" ;;
    *) fail "$name: with the wrong secret, an error" "exit $code: $err" ;;
  esac
  MCP_CLIENT_SECRET=echo-mcp-server-secret client --client-id echo-mcp-server --client-credentials --issuer "${issuer%/}/other"
  says "$name: a secret goes to no other authorization server" 1 'the client that was given is of'
  MCP_CLIENT_SECRET=echo-mcp-server-secret client --client-id echo-mcp-server --client-credentials
  says "$name: nor to whichever the server names" 1 'with --issuer'

  client --no-cache --explain --client-id mcp-test-client
  same "$name: a client that is known" 0 "$code"
  same "$name: the story has its exchanges, and nothing that opens anything" '0 ‹code ‹state ‹token ‹verifier' \
    "$(grep -c 'eyJ\|[A-Za-z0-9_-]\{60,\}' <<<"$err" || true) $(grep -o '‹[a-z]*' <<<"$err" | sort -u | xargs)"
  client --no-cache --headless
  says "$name: a page is for a person" 1 'leave out --headless'
}

# --- step 8, with the authorization server inside
start_server step8 --key-dir "$work/keys"
issuer=$base
whole_story step8 mcp:read
same 'its calls need more than it was told first: it stepped up, once, and asked for both' 'mcp:read mcp:tools offline_access' "$(asked 2)"

PERSON=bob client --no-cache --call echo --arg message=x
says 'who may not have more is told' 1 'the server wants mcp:read mcp:tools, which was asked for; granted is mcp:read'
long=$(printf '%0500d\n\t2' 1)
client --call echo --arg "message=$long" --cache-dir "$work/cache-long"
same 'a result is all there, with its lines and tabs' "$long" "$out"
client --no-cache --call nonexistent
says 'a tool that is not there' 1 'there is no tool nonexistent; there are echo'
client --no-cache --call echo --arg message
says 'an argument that is none' 1 'is not NAME=VALUE'
client --no-cache --call add --arg a=x --arg b=1
says 'what the tool says is wrong with its arguments' 1 'add says:'
base=http://127.0.0.1:$port client --no-cache --list
same 'by the other name of this machine' 0 "$code"

# The URL is printed; the answer is typed in, or comes to the port.
mkfifo "$work/typed"
# The redirection may come after the first look at it.
: >"$work/err"
timeout 60 "$target/debug/step11" "$base/mcp" --no-cache --no-browser --call echo --arg message=hi <"$work/typed" >"$work/out" 2>"$work/err" &
pid=$!
exec 3>"$work/typed"
shown_url 1
callback=$(sed 's/.*redirect_uri=\([^&]*\).*/\1/; s/%3A/:/g; s/%2F/\//g' <<<"$url")
printf '%s\n' 'no URL at all' "$callback?code=x&state=guess" >&3
scripts/clients/person.sh "$url" >&3
# It steps up: the second login is answered like the first.
shown_url 2
scripts/clients/person.sh "$url" >&3
code=0
wait "$pid" || code=$?
exec 3>&-
same 'without a browser: each answer is typed in' '0 hi' "$code $(cat "$work/out")"
err=$(cat "$work/err") out=$(cat "$work/out")
says 'and that of another login is told from it' 0 'not the address that this login ends at'

# The redirection may come after the first look at it.
: >"$work/err"
timeout 60 "$target/debug/step11" "$base/mcp" --no-cache --no-browser --list </dev/null >"$work/out" 2>"$work/err" &
pid=$!
shown_url
callback=$(sed 's/.*redirect_uri=\([^&]*\).*/\1/; s/%3A/:/g; s/%2F/\//g' <<<"$url")
same 'what is not the answer changes nothing' '404 400 400' "$(curl -s -o /dev/null -w '%{http_code}' "${callback%/callback}/favicon.ico") \
$(curl -s -o /dev/null -w '%{http_code}' "$callback") $(curl -s -o /dev/null -w '%{http_code}' "$callback?code=x&state=guess")"
closing=$(curl -s "$(scripts/clients/person.sh "$url")")
code=0
wait "$pid" || code=$?
same 'without a browser: the answer comes to the port' '0 echo' "$code $(awk 'NR == 1 { print $1 }' "$work/out")"
case $closing in *'You can close this window'*) ok 'and the page says that it is over' ;; *) fail 'and the page says that it is over' "$closing" ;; esac

# A browser in the terminal is in front until somebody leaves it, and the client ends before.
cat >"$work/lynx" <<END
#!/usr/bin/env bash
$work/browser "\$@"
for ((tries = 0; tries < 900; tries++)); do
  [ ! -e "$work/left" ] || exit 0
  sleep 0.1
done
END
chmod +x "$work/lynx"
BROWSER=$work/lynx client --no-cache --list
same 'a browser that stays open holds up nothing' 0 "$code"
: >"$work/left"

# What ends is refreshed. The server's leeway is longer than this test: the client looks at the clock itself.
start_server step8 --key-dir "$work/keys" --access-token-lifetime 1
: >"$work/visits"
client --no-cache --explain --call whoami
same 'a token that ends at once is refreshed, and nobody is asked again' '0 2' "$code $(visits)"

# --- without a server, and without a URL
base=http://127.0.0.1:$(free_port)
client --no-cache
says 'nobody there' 1 'is the server running'
code=0
"$target/debug/step11" >/dev/null 2>&1 || code=$?
same 'no URL is a mistake on the command line' 2 "$code"
code=0
err=$("$target/debug/step11" http://mcp.example/mcp --no-cache 2>&1) || code=$?
says 'no token goes over plain http to another machine' 1 'plain http'

# --- the story in one command
code=0
timeout 120 "$target/debug/step11" --demo >"$work/demo" 2>"$work/err" || code=$?
same 'the demo ends well' '0 add(2, 40) is {"result":42}' "$code $(grep -o 'add(2, 40) is {[^}]*}' "$work/demo" || cat "$work/err")"
same 'it steps up and refreshes' '2 1' "$(grep -c 'asked for a yes' "$work/demo") $(grep -c 'An old token becomes' "$work/demo")"
same 'it can be read in one go' yes "$([ "$(wc -l <"$work/demo")" -le 120 ] && echo yes || wc -l <"$work/demo")"
same 'where nobody looks there are no colours' 0 "$(grep -c $'\e' "$work/demo" || true)"
if command -v script >/dev/null; then
  coloured() { script -qec "$1 $target/debug/step11 http://127.0.0.1:1/mcp --no-cache --explain" /dev/null | grep -c $'\e' || true; }
  same 'a terminal has colours, and NO_COLOR has none' 'yes 0' "$([ "$(coloured 'env -u NO_COLOR TERM=xterm')" -gt 0 ] && echo yes) $(coloured 'env NO_COLOR=1 TERM=xterm')"
else
  skip 'colours' 'install script (util-linux) to run it'
fi

# --- step 9, with another's authorization server
providers
for name in "${providers[@]}"; do
  server_port=$(free_port)
  provide "$name" "$server_port"
  # Elsewhere a client's scopes are frozen when it registers, so the first challenge names all.
  start_program step9 "$target/debug/step9" --port "$server_port" --keycloak-url "$provider_url" --realm "$realm"
  for ((tries = 0; tries < 100; tries++)); do
    [ "$(curl -s "$base/health" | jq .jwks_available)" != true ] || break
    sleep 0.1
  done
  whole_story "$name" 'mcp:prompts mcp:read mcp:run mcp:tools'
done
summary
