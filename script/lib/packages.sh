# shellcheck shell=bash
# Sourced, after say.sh. Debian packages: what is missing is named with its reason, then installed in one go.
# What is there is never touched.

wanted=()

# want REASON CHECK PACKAGE...: the packages are needed for REASON unless the command line CHECK succeeds.
want() {
    local reason=$1 check=$2
    shift 2
    if ! bash -c "$check" >/dev/null 2>&1; then
        say "missing: $* ($reason)"
        wanted+=("$@")
    fi
}

# Installs what was wanted; does nothing when nothing is missing.
install_wanted() {
    [ ${#wanted[@]} -gt 0 ] || return 0
    local packages=("${wanted[@]}") as_root=()
    wanted=()
    command -v apt-get >/dev/null ||
        fail "No apt-get here. Install these, or what this system calls them, and run this again: ${packages[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "Neither root nor sudo. As root: apt-get install --no-install-recommends ${packages[*]}"
        as_root=(sudo)
    fi
    say "installing: ${packages[*]}"
    "${as_root[@]}" apt-get update -q </dev/null
    # Debian's own question dialogs would wait for a terminal.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}" </dev/null
}
