# Sourced by the scripts beside it: makes a virtual environment from a hash-locked list, once per list.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

require_platform() {
    local wanted="Sealwire needs Linux with glibc on x86_64 or aarch64 and CPython 3.11; this is"
    if [ "$(uname -s)" != Linux ]; then say "$wanted $(uname -s)."; exit 2; fi
    case "$(uname -m)" in
        x86_64 | aarch64) ;;
        *) say "$wanted a $(uname -m) machine."; exit 2 ;;
    esac
    if ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then say "$wanted Linux without glibc."; exit 2; fi
}

# The first CPython 3.11 there is, or nothing.
find_python() {
    local candidate
    for candidate in "${SEALWIRE_PYTHON:-}" python3.11 /usr/bin/python3.11 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11))' \
            2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# Install Debian packages when root; otherwise say which are missing. 1 when they are not there afterwards.
debian_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing Debian packages: $*"
        export DEBIAN_FRONTEND=noninteractive
        # A list that cannot be fetched is no reason to stop: the packages may be known already.
        apt-get update -qq >/dev/null 2>&1 || true
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null 2>&1
    else
        return 1
    fi
}

# require_programs WHY PROGRAM...: each is the Debian package of its own name; installed when root, else named, and the end.
require_programs() {
    local why=$1 program missing=()
    shift
    for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
    [ "${#missing[@]}" -gt 0 ] || return 0
    debian_packages "${missing[@]}" || true
    for program in "${missing[@]}"; do
        command -v "$program" >/dev/null && continue
        say "$why needs the Debian packages ${missing[*]} (as root: apt-get install ${missing[*]}); install them, then run this again."
        exit 2
    done
}

require_python() {
    python=$(find_python) || python=
    if [ -n "$python" ] && has_venv "$python"; then return; fi
    local missing=python3.11-venv
    [ -n "$python" ] || missing="python3.11 python3.11-venv"
    # shellcheck disable=SC2086
    debian_packages $missing || true
    python=$(find_python) || python=
    if [ -z "$python" ] || ! has_venv "$python"; then
        say "Sealwire needs CPython 3.11 with venv: install the Debian packages $missing (as root: apt-get install $missing), then run this again."
        exit 2
    fi
}

# environment_folder NAME: where this checkout's environment lies; in the user's cache when the checkout is read-only.
environment_folder() {
    if [ -w "$here" ] || [ -x "$here/.venv/$1/bin/python" ]; then
        printf '%s\n' "$here/.venv/$1"
    else
        printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/sealwire/$(sha256sum <<<"$here" | cut -c1-16)/$1"
    fi
}

is_whole() { [ "$(cat "$1/installed" 2>/dev/null)" = "$2" ] && "$1/bin/python" -c '' 2>/dev/null; }

# ensure_environment FOLDER LOCK: FOLDER is made from exactly this LOCK; when it is already, nothing is done.
ensure_environment() {
    local folder=$1 lock=$2 stamp started=$SECONDS
    stamp="$(sha256sum <"$lock" | cut -c1-64) $folder"
    if is_whole "$folder" "$stamp"; then return; fi
    require_python
    mkdir -p "$(dirname "$folder")"
    # Two at once would install into each other; the second waits and then finds it done.
    exec 9>"$folder.lock"
    flock 9
    if ! is_whole "$folder" "$stamp"; then
        say "installing what Sealwire needs into $folder (once; about half a minute) …"
        # What an interrupted run of the same list left is kept: pip then only adds what is missing.
        if [ "$(cat "$folder/begun" 2>/dev/null)" != "$stamp" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
            rm -rf "$folder"
            "$python" -m venv "$folder"
            printf '%s\n' "$stamp" >"$folder/begun"
        fi
        if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --no-warn-script-location --require-hashes -r "$lock" >"$folder/install.log" 2>&1 9>&-; then
            tail -n 5 "$folder/install.log" >&2
            say "The packages could not be installed; the whole story is in $folder/install.log. Run this again to resume."
            exit 1
        fi
        printf '%s\n' "$stamp" >"$folder/installed"
        say "installed in $((SECONDS - started)) s"
    fi
    exec 9>&-
}
