#!/usr/bin/env bash
# The person before the browser: opens an authorization URL, logs in, decides, and prints the URL that the browser is
# then sent to. What the client does with it is the client's business.
#
#   person.sh URL
#
# With
#   PERSON          who they are; the password is the name and 123 (alice unless told otherwise)
#   PERSON_DECIDES  allow or deny; several words are for several visits, the last for all further ones (allow)
#   PERSON_VISITS   a file to which each URL is added, so that visits can be counted
set -euo pipefail

url=$1 name=${PERSON:-alice}
read -ra decisions <<<"${PERSON_DECIDES:-allow}"
visits=1
if [ -n "${PERSON_VISITS:-}" ]; then
  printf '%s\n' "$url" >>"$PERSON_VISITS"
  visits=$(wc -l <"$PERSON_VISITS")
fi
decision=${decisions[visits > ${#decisions[@]} ? ${#decisions[@]} - 1 : visits - 1]}

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

# open URL [CURL ARGS…]: shows a page; sets $page, and $next to where it leads without being asked.
open() {
  next=$(curl -sS --max-time 30 -b "$home/cookies" -c "$home/cookies" -o "$home/page" -w '%{redirect_url}' "$@")
  page=$(cat "$home/page" 2>/dev/null || true)
}

# attribute TAG NAME: of the first tag of the page that holds the text TAG.
attribute() {
  sed -n "s/.*<$1[^>]* $2=\"\([^\"]*\)\".*/\1/p" <<<"$page" | head -n 1 |
    sed "s/&#34;/\"/g; s/&quot;/\"/g; s/&#39;/'/g; s/&#60;/</g; s/&lt;/</g; s/&#62;/>/g; s/&gt;/>/g; s/&#38;/\&/g; s/&amp;/\&/g"
}

# stuck WHY: there is no way on.
stuck() {
  printf '%s\n' "$1" >&2
  sed 's/<[^>]*>/ /g' <<<"$page" | grep '[^[:space:]]' >&2
  exit 1
}

# submit NAME=VALUE…: the first form of the page, with what a person adds to it.
submit() {
  local action field fields=()
  action=$(attribute form action)
  [ -n "$action" ] || stuck 'a page without a form:'
  for field in "request=$(attribute 'input type="hidden" name="request"' value)" \
    "csrf=$(attribute 'input type="hidden" name="csrf"' value)" "$@"; do
    fields+=(--data-urlencode "$field")
  done
  open "$(sed 's|^\(https*://[^/?]*\).*|\1|' <<<"$url")$action" "${fields[@]}"
}

open "$url"
if [ -z "$next" ]; then
  submit "username=$name" "password=${name#mcp-}123"
  [ -z "$next" ] || open "$next"
  submit "decision=$decision"
fi
[ -n "$next" ] || stuck 'not let in:'
printf '%s\n' "$next"
