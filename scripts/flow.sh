# Sourced by the scripts that play a client of the authorization server, and its person, with curl. Needs $base.
#
#   register JSON                          sets $status, $body
#   authorize CLIENT SCOPE                 a new request, in a browser with the cookies of $work/jar; $redirect_uri and
#                                          $resource change it
#   log_in USERNAME PASSWORD | decide allow|deny|switch
#                                          submits the page's form, and follows to the next page
#     these three set $status, $body, $page (login, consent, or nothing) and $location (when it left the server)
#   answer NAME                            a parameter of $location
#   redeem CLIENT CODE [VERIFIER]          sets $status, $body
#   introspect TOKEN                       sets $body

# RFC 7636 appendix B.
verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
callback=http://localhost:8000/callback

register() {
  status=$(curl -s -o "$work/body" -w '%{http_code}' "$base/register" -H 'Content-Type: application/json' -d "$1")
  body=$(cat "$work/body")
}

# browse CURL ARGS…: one request; follows redirects as long as they stay on this server.
browse() {
  status=$(curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' -b "$work/jar" -c "$work/jar" "$@")
  body=$(cat "$work/body")
  location=$(tr -d '\r' <"$work/head" | sed -n 's/^[Ll]ocation: //p')
  case $location in
    "$base"/* | /*)
      browse "$base/$(sed "s|^$base||; s|^/||" <<<"$location")"
      return
      ;;
  esac
  case $body in
    *'name="password"'*) page=login ;;
    *'name="decision"'*) page=consent ;;
    *) page= ;;
  esac
}

authorize() {
  browse -G "$base/authorize" --data-urlencode response_type=code --data-urlencode "client_id=$1" \
    --data-urlencode "redirect_uri=${redirect_uri:-$callback}" --data-urlencode "scope=$2" --data-urlencode "state=xyz" \
    --data-urlencode "code_challenge=$challenge" --data-urlencode code_challenge_method=S256 \
    --data-urlencode "resource=${resource:-$base/mcp}"
}

# field NAME: a hidden field of the page's first form.
field() {
  sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" <<<"$body" | head -n 1 | sed 's/&#38;/\&/g; s/&amp;/\&/g; s/&#34;/"/g; s/&#39;/'"'"'/g'
}

log_in() {
  browse "$base/login" --data-urlencode "request=$(field request)" --data-urlencode "csrf=$(field csrf)" \
    --data-urlencode "username=$1" --data-urlencode "password=$2"
}

decide() {
  browse "$base/consent" --data-urlencode "request=$(field request)" --data-urlencode "csrf=$(field csrf)" -d "decision=$1"
}

answer() {
  local pair
  while IFS= read -r pair; do
    [ "${pair%%=*}" != "$1" ] || { printf '%b' "$(sed 's/+/ /g; s/%/\\x/g' <<<"${pair#*=}")"; return; }
  done < <(tr '&' '\n' <<<"${location#*\?}")
}

redeem() {
  status=$(curl -s -o "$work/body" -w '%{http_code}' "$base/token" -d grant_type=authorization_code -d "client_id=$1" -d "code=$2" \
    --data-urlencode "redirect_uri=$callback" -d "code_verifier=${3:-$verifier}")
  body=$(cat "$work/body")
}

introspect() { body=$(curl -s "$base/introspect" -u echo-mcp-server:echo-mcp-server-secret -d "token=$1"); }
