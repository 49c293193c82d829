#!/usr/bin/env bash
# Runs every command line of README.md and of the chapters as it stands there.
#
#   scripts/test_docs.sh [--full] [FILE…]
#
# A ```sh block is run, command by command; where a ```json or ```text block follows it, that is what the block must
# print (JSON is compared as JSON; a `…` in a line of text, or a JSON string "…", stands for anything). A block that
# starts a server (`cargo run --bin stepN`) leaves it running for the blocks after it, until the next one or the end of the
# file; an identity provider (`cargo run -p mcp-idp`) beside it, likewise. A command whose tool is not installed is skipped
# by name, and without --full so is one that needs the network (npx, claude) or Keycloak: mcp-idp then stands in for it.
source "$(dirname "$0")/lib.sh"

full=false
if [ "${1:-}" = --full ]; then
  full=true
  shift
fi
# What test_clients.sh has installed: Claude Code, and a Node that is new enough for the Inspector.
PATH="$PWD/$target/clients/node_modules/.bin:$PATH"
# A client's settings are not ours to change.
export CLAUDE_CONFIG_DIR="$work/claude"

port_is_taken() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for taken in 9000 8080; do
  if port_is_taken $taken; then
    # Not a skip: the commands are written for this port, and whoever has it would answer in the server's place.
    fail 'README and chapters' "port $taken is in use; stop the program that has it"
    summary
  fi
done
cargo build --quiet --bins
cargo build --quiet -p mcp-idp -p mcp-attack

# What runs: a server and a provider at the most.
declare -A running=()
stop() {
  local pid=${running[$1]:-}
  [ -n "$pid" ] || return 0
  kill -- "-$pid" 2>/dev/null || true
  # Its children have the port, and take a moment.
  while kill -0 -- "-$pid" 2>/dev/null; do sleep 0.05; done
  unset "running[$1]"
}

# serve NAME KIND PORT FILE: runs a block that starts a server, in the place of the one of its kind before it.
serve() {
  local tries
  stop "$2"
  set -m
  bash "$4" >"$work/$2.log" 2>&1 &
  set +m
  servers+=($!)
  running[$2]=$!
  for ((tries = 0; tries < 200; tries++)); do
    if port_is_taken "$3"; then
      ok "$1"
      return
    fi
    sleep 0.1
  done
  fail "$1" "$(cat "$work/$2.log")"
}

# blocks FILE: splits a file into numbered blocks, N.sh and N.json or N.text for what follows N.
blocks() {
  rm -rf "$work/blocks"
  mkdir "$work/blocks"
  awk -v dir="$work/blocks" '
    /^```/ && !inside { inside = 1; lang = substr($0, 4); kind = ""
      if (lang == "sh") { n++; kind = "sh"; pending = 1; print FNR > (dir "/" n ".line") }
      else if ((lang == "json" || lang == "text") && pending) { kind = lang; pending = 0 }
      next }
    /^```/ { inside = 0; next }
    inside && kind { print > (dir "/" n "." kind) }
    # Prose between a command and a block: the block is not its output.
    !inside && NF { pending = 0 }
  ' "$1"
}

# A JSON value with "…" in it matches anything at that place.
json_matches() {
  jq -en --argjson want "$1" --argjson got "$2" '
    def same($w; $g):
      if $w == "…" then true
      elif ($w | type) != ($g | type) then false
      elif ($w | type) == "object" then ($w | keys) == ($g | keys) and all($w | keys[]; . as $k | same($w[$k]; $g[$k]))
      elif ($w | type) == "array" then ($w | length) == ($g | length) and all(range($w | length); . as $i | same($w[$i]; $g[$i]))
      else $w == $g end;
    same($want; $got)' >/dev/null
}

# Line by line; "…" in a line matches anything.
text_matches() {
  jq -en --arg want "$1" --arg got "$2" '
    def line_same($w; $g):
      # An empty string splits into no parts at all.
      (if $w == "" then [""] else $w | split("…") end) as $parts
      | reduce range(1; $parts | length) as $i (
          if ($g | startswith($parts[0])) then $g[($parts[0] | length):] else null end;
          if . == null then null
          elif $i == ($parts | length) - 1 then (if endswith($parts[$i]) then "" else null end)
          else (index($parts[$i]) as $at | if $at == null then null else .[$at + ($parts[$i] | length):] end)
          end)
      | . == "";
    ($want | split("\n")) as $w | ($got | split("\n")) as $g
    | ($w | length) == ($g | length) and all(range($w | length); . as $i | line_same($w[$i]; $g[$i]))' >/dev/null
}

# A ```rust block whose fence names a file quotes it: every line stands there, but for lines of "…" alone.
check_quotes() {
  local file=$1 source line missing
  awk '/^```rust / { source = $2; next } /^```/ { source = ""; next } source { print source "\t" $0 }' "$file" >"$work/quotes"
  while IFS=$'\t' read -r source line; do
    line=$(sed 's/^ *//; s/ *$//' <<<"$line")
    [ -n "$line" ] && [ "$line" != … ] || continue
    grep -qF -- "$line" "$source" || missing+="$source: $line"$'\n'
  done <"$work/quotes"
  [ -s "$work/quotes" ] || return 0
  if [ -z "${missing:-}" ]; then ok "$file quotes the code as it is"; else fail "$file quotes what is not there" "$missing"; fi
}

run_block() {
  local file=$1 n=$2 name command tool out code=0 port
  name="$file:$(cat "$work/blocks/$n.line") $(head -n 1 "$work/blocks/$n.sh" | cut -c1-70)"
  if grep -qx 'scripts/test\(_step[0-9]*\)\?\.sh\( --full\)\?' "$work/blocks/$n.sh"; then
    # This very run is that command, or a part of it.
    [ -x "$(cut -d' ' -f1 "$work/blocks/$n.sh")" ] && ok "$name (this run)" || fail "$name" 'there is no such script'
    return
  fi
  # In `TOKEN=$(cargo …` and `PORT=9200 cargo …` it is cargo.
  command=$(sed 's/^\([A-Z_]*=[^ $][^ $]* *\)*//' "$work/blocks/$n.sh" | sed '/./,$!d')
  tool=$(sed -n '1 { s/^[A-Z]*=\$(//; s/ .*//; p; }' <<<"$command")
  if ! $full && [[ $tool == npx || $tool == claude ]]; then
    skip "$name" 'needs the network; scripts/test.sh --full runs it'
    return
  fi
  if ! command -v "$tool" >/dev/null; then
    skip "$name" "install $tool to run it"
    return
  fi
  if ! $full && grep -q -e ' --setup' -e '^scripts/keycloak.sh' "$work/blocks/$n.sh"; then
    skip "$name" 'needs Keycloak; scripts/test.sh --full runs it'
    stop provider
    if grep -q ' --setup' "$work/blocks/$n.sh"; then
      echo "$target/debug/mcp-idp --realm-file keycloak/mcp-realm-realm.json --key-dir $work/keys --allow-password-grant" >"$work/idp.sh"
      serve "$file: mcp-idp in the place of Keycloak" provider 8080 "$work/idp.sh"
    fi
    return
  fi
  port=$(sed -n 's/.* --port \([0-9]*\).*/\1/p' "$work/blocks/$n.sh")
  case $command in
    *' --setup'* | *' --print-config'* | *'--bin step11'*) ;;
    'cargo run --bin step'*)
      serve "$name" server "${port:-9000}" "$work/blocks/$n.sh"
      return
      ;;
    'cargo run -p mcp-idp'*)
      serve "$name" provider "${port:-8080}" "$work/blocks/$n.sh"
      return
      ;;
  esac
  out=$(timeout 120 bash -eu -o pipefail "$work/blocks/$n.sh" 2>"$work/err") || code=$?
  if [ "$code" -ne 0 ]; then
    fail "$name" "exit $code: $(cat "$work/err")"
  elif [ -e "$work/blocks/$n.json" ]; then
    if json_matches "$(cat "$work/blocks/$n.json")" "$out"; then ok "$name"; else fail "$name" "printed: $out"; fi
  elif [ -e "$work/blocks/$n.text" ]; then
    if text_matches "$(cat "$work/blocks/$n.text")" "$(tr -d '\r' <<<"$out")"; then ok "$name"; else fail "$name" "printed: $out"; fi
  else
    ok "$name"
  fi
}

[ $# -gt 0 ] || set -- README.md steps/step{1..11}.md
for file; do
  blocks "$file"
  total=$(find "$work/blocks" -name '*.sh' | wc -l)
  for ((n = 1; n <= total; n++)); do run_block "$file" "$n"; done
  check_quotes "$file"
  stop server
  stop provider
done
summary
