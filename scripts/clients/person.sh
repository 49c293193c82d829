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
#   PERSON_ANSWERS  a file to which each URL is added that is printed
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

# open URL [CURL ARGS…]: shows a page; sets $page, on one line, and $next to where it leads without being asked. The pages
# are all on one server: what leads elsewhere, or to another port, leads back to the client.
server=$(sed 's|^\(https*://[^/?]*\).*|\1|' <<<"$url")
open() {
  : >"$home/page"
  # Keycloak's cookies are Secure without TLS too; curl sends them to loopback, as browsers do.
  next=$(curl -sS --max-time 30 -b "$home/cookies" -c "$home/cookies" -o "$home/page" -w '%{redirect_url}' "$@")
  page=$(tr '\r\n' '  ' <"$home/page")
  case $next in "$server"/*) open "$next" ;; esac
}

# attribute NAME: of the first tag on standard input.
attribute() {
  sed -n "s/^[^>]* $1=\"\([^\"]*\)\".*/\1/p" |
    sed "s/&#34;/\"/g; s/&quot;/\"/g; s/&#39;/'/g; s/&#60;/</g; s/&lt;/</g; s/&#62;/>/g; s/&gt;/>/g; s/&#38;/\&/g; s/&amp;/\&/g"
}

# stuck WHY: there is no way on.
stuck() {
  printf '%s\n' "$1" >&2
  tr '<' '\n' <<<"$page" | sed '/^script/d; s/^[^>]*>//' | grep '[^[:space:]]' >&2 || true
  exit 1
}

# submit NAME=VALUE…: the first form of the page with its hidden fields, and what a person adds to it.
submit() {
  local action field form fields=()
  form=${page#*<form} form=${form%%</form>*}
  action=$(attribute action <<<"$form")
  while IFS= read -r field; do
    fields+=(--data-urlencode "$(attribute name <<<"$field")=$(attribute value <<<"$field")")
  done < <(grep -o '<input[^>]* type="hidden"[^>]*>' <<<"$form")
  for field in "$@"; do fields+=(--data-urlencode "$field"); done
  case $action in http*) ;; *) action=$server$action ;; esac
  open "$action" "${fields[@]}"
}

open "$url"
while [ -z "$next" ]; do
  case $page in
    # Shown a second time, it says what was wrong.
    *'name="password"'*)
      [ -z "${logged_in:-}" ] || stuck 'not let in:'
      logged_in=yes
      submit "username=$name" "password=${name#mcp-}123"
      ;;
    # Keycloak asks Yes or No, and does not ask again for what was granted before.
    *'name="accept"'*) submit "$([ "$decision" = allow ] && echo accept=Yes || echo cancel=No)" ;;
    *'name="decision"'*) submit "decision=$decision" ;;
    *) stuck 'no way on from:' ;;
  esac
done
printf '%s\n' "$next"
[ -z "${PERSON_ANSWERS:-}" ] || printf '%s\n' "$next" >>"$PERSON_ANSWERS"
