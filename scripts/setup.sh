#!/bin/sh
# Makes the checkout ready: system libraries and .venv. Does nothing, quickly, when all is there.
#
#   scripts/setup.sh          what the program needs
#   scripts/setup.sh tests    and what the tests need besides
#
# PYTHON=/path/to/python3.12 chooses the interpreter for a new .venv.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$@" >&2; }
die() { say "$@"; exit 1; }

# -------------------------------------------------------------------------------------------- system packages

# What Qt's libraries load, found by leaving them out one by one on a bare Debian 12.
system_packages="libglib2.0-0 libgl1 libegl1 libxkbcommon0 libfontconfig1 libfreetype6 libdbus-1-3 libgssapi-krb5-2
    libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
test_packages="xvfb openbox xdotool curl chromium nodejs strace"

install_system_packages() {
    command -v dpkg-query >/dev/null || return 0    # not a Debian: the README says what is needed
    # Newer Debians and Ubuntus rename some libraries to ...t64.
    have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sed 's/t64$//')
    missing=
    for package in "$@"; do
        printf '%s\n' "$have" | grep -qx "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0

    as_root=
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root="sudo -n"
        else
            die "System libraries are missing. Install them with this line, then run the same command again:" "" \
                "    sudo apt-get install --no-install-recommends$missing" ""
        fi
    fi
    say "Installing system libraries:$missing"
    $as_root apt-get -qq -o DPkg::Lock::Timeout=120 update || say "(the list of packages could not be brought up to date)"
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends $missing >/dev/null ||
        die "" "apt-get could not install them. Try this line, then run the same command again:" "" \
            "    sudo apt-get install --no-install-recommends$missing" ""
}

# ----------------------------------------------------------------------------------------------------- Python

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11 or newer."
        printf '%s' "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11; do
        if is_new_enough "$name"; then
            printf '%s' "$name"
            return
        fi
    done
    die "Python 3.11 or newer is needed, and there is none here. On Debian 12 or newer:" "" \
        "    sudo apt-get install --no-install-recommends python3 python3-venv" "" \
        "If it has another name or place: make setup PYTHON=/path/to/python3.12"
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian keeps these apart from Python itself.
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_system_packages "python$version-venv"
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            die "$python has no venv module (ensurepip). Install it, or choose another one with PYTHON=..."
    fi
    say "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

install_python_packages() {
    # The path is part of it: a checkout that was moved or copied needs its scripts made again.
    wanted="$PWD $(cat requirements.lock pyproject.toml | cksum)"
    stamp=.venv/.installed
    [ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || .venv/bin/python -c '' 2>/dev/null || rm -f $stamp
    [ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || return 0

    is_new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1 || make_venv
    say "Installing Python packages into .venv (the first time, some 200 MB)"
    pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input -q "$@"; }
    pip install --require-hashes -r requirements.lock
    pip install --no-deps --no-build-isolation --no-index --force-reinstall -e .
    printf '%s' "$wanted" >$stamp
}

# Two commands at once wait for each other instead of building the same .venv twice.
if command -v flock >/dev/null && [ -z "${WFE_SETUP_LOCKED:-}" ]; then
    mkdir -p .cache
    WFE_SETUP_LOCKED=1 exec flock .cache/setup.lock "$0" "$@"
fi

[ "${1:-}" = tests ] || test_packages=
# shellcheck disable=SC2086
install_system_packages $system_packages $test_packages
install_python_packages
