# shellcheck shell=bash
# Sourced, after say.sh and packages.sh. Node 20 or later for the browser tests; Debian 12 has 18.

node_wanted=20

node_is_new_enough() {
    local have
    have=$(node --version 2>/dev/null) || return 1
    have=${have#v}
    [ "${have%%.*}" -ge "$node_wanted" ]
}

# need_node: node and npm on the PATH, node new enough. A newer one than Debian's comes as an npm package into
# the user's cache, for this script alone.
need_node() {
    want "browser tests run on it" "command -v node" nodejs
    want "installs what the browser tests use" "command -v npm" npm
    install_wanted
    node_is_new_enough && return 0
    local home=${XDG_CACHE_HOME:-$HOME/.cache}/griot/node
    if ! [ -x "$home/node_modules/.bin/node" ]; then
        say "installing: node $node_wanted into $home (Debian's is $(node --version); playwright-core wants $node_wanted)"
        mkdir -p "$home"
        npm install --prefix "$home" --no-audit --no-fund "node@$node_wanted"
    fi
    PATH=$home/node_modules/.bin:$PATH
    export PATH
    node_is_new_enough || fail "node is still older than $node_wanted: $(node --version 2>&1)"
}
