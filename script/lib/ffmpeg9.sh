# shellcheck shell=bash
# Sourced, after say.sh and packages.sh. An ffmpeg that speaks Enhanced RTMP (HEVC, AV1, VP9, Opus, multitrack), which
# Debian 12's 5.1 does not: ffmpeg 9.0.2 from the wheel imageio-ffmpeg of PyPI, in the user's cache.

ffmpeg9_wheel=imageio-ffmpeg==0.8.1
ffmpeg9_wheel_sha256=050d6850601c3b3890bd2b28306f3b842b3daea390a561101174375a1c460bda
ffmpeg9_member=imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v9.0.2

# need_ffmpeg9: leaves the program's path in `ffmpeg9`. Fetched once; whoever comes meanwhile waits.
need_ffmpeg9() {
    local home=${XDG_CACHE_HOME:-$HOME/.cache}/griot/ffmpeg9 made
    ffmpeg9=$home/ffmpeg
    [ -x "$ffmpeg9" ] && return 0
    want "to fetch and unpack a wheel of PyPI" "python3 -m pip --version" python3 python3-pip
    install_wanted
    mkdir -p "$home"
    (
        flock 9
        [ -x "$ffmpeg9" ] && exit 0
        made=$(mktemp -d "$home/fetch.XXXXXX")
        trap 'rm -rf "$made"' EXIT
        say "installing: $ffmpeg9_wheel into $home (Debian's ffmpeg has no Enhanced RTMP)"
        printf '%s --hash=sha256:%s\n' "$ffmpeg9_wheel" "$ffmpeg9_wheel_sha256" >"$made/wanted"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
            --only-binary=:all: --platform manylinux_2_28_x86_64 -r "$made/wanted" -d "$made"
        python3 -m zipfile -e "$made"/imageio_ffmpeg-*.whl "$made/wheel"
        chmod 755 "$made/wheel/$ffmpeg9_member"
        mv "$made/wheel/$ffmpeg9_member" "$ffmpeg9"
    ) 9>"$home/lock" || fail "$ffmpeg9_wheel could not be fetched"
}
