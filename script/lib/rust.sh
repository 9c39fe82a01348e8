# shellcheck shell=bash
# Sourced, after say.sh and packages.sh. A Rust toolchain no older than Cargo.toml's rust-version.

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$griot_root/Cargo.toml")

# Whether the cargo that would run is new enough.
rust_is_new_enough() {
    local have
    have=$(cd "$griot_root" && cargo --version 2>/dev/null | awk '{print $2}') || return 1
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$rust_wanted" "$have" | sort -V | head -n 1)" = "$rust_wanted" ]
}

# need_rust [COMPONENT...]: cargo on the PATH, new enough, with the components (rustfmt, clippy).
# Another toolchain than the one in use is put beside it, and used by this script alone.
need_rust() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} component
    command -v cargo >/dev/null || PATH=$cargo_home/bin:$PATH
    if ! rust_is_new_enough; then
        if command -v rustup >/dev/null; then
            say "installing: Rust $rust_wanted, beside the toolchains that are there (theirs are older)"
            rustup toolchain install "$rust_wanted" --profile minimal
            export RUSTUP_TOOLCHAIN=$rust_wanted
        else
            say "installing: Rust, by rustup into $cargo_home (cargo is absent or older than $rust_wanted)"
            want "to fetch rustup" "command -v curl" curl ca-certificates
            install_wanted
            curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
                sh -s -- -y --no-modify-path --profile minimal --default-toolchain stable
            PATH=$cargo_home/bin:$PATH
        fi
        rust_is_new_enough || fail "cargo is still older than $rust_wanted: $(cargo --version 2>&1)"
    fi
    for component in "$@"; do
        case $component in
            rustfmt) cargo fmt --version >/dev/null 2>&1 && continue ;;
            clippy) cargo clippy --version >/dev/null 2>&1 && continue ;;
        esac
        command -v rustup >/dev/null || fail "This Rust has no $component. Debian: apt-get install $component"
        say "installing: $component, a part of Rust"
        rustup component add "$component"
    done
    export PATH
}

# What a build needs besides Rust: SQLite is compiled in, from C.
want_build_packages() {
    want "to link, and to compile SQLite" "command -v cc && [ -e /usr/include/stdio.h ]" gcc libc6-dev
    want "to link GStreamer" "pkg-config --exists gstreamer-1.0 gstreamer-app-1.0 gstreamer-video-1.0" pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
    want "to fetch crates over HTTPS" "[ -s /etc/ssl/certs/ca-certificates.crt ]" ca-certificates
}

# What reads uploaded videos at run time; lives do without. x264 is in ugly, the decoders of most codecs and the AAC encoder
# in libav, the parsers of H.264 and the others in bad (the largest set, which cannot be left out for their sake).
want_run_packages() {
    want "demuxers, decoders and encoders of uploaded videos" \
        "ls /usr/lib/*/gstreamer-1.0/libgst{isomp4,x264,libav,videoparsersbad,videorate}.so" \
        gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
}
