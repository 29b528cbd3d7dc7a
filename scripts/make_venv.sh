#!/bin/sh
# Makes the virtual environment and installs the locked packages and the project into it.
# Called by `make setup`; pip (not another installer) so that the machine's own index configuration holds.
set -eu
venv=${VENV:-.venv}

usable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }

python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "recon-service needs Python 3.11, 3.12 or 3.13; found: $(python3 --version 2>/dev/null || echo none)." >&2
    echo "Install one of them, then: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi

# Debian and Ubuntu ship Python without ensurepip; it is in a package of its own.
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    as_root=
    if [ "$(id -u)" != 0 ]; then as_root='sudo -n'; fi
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
        echo "installing python$version-venv with apt"
        $as_root apt-get update -qq || true
        $as_root apt-get install -y -qq "python$version-venv" || $as_root apt-get install -y -qq python3-venv
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "This Python cannot make virtual environments. On Debian or Ubuntu type:" >&2
        echo "    sudo apt-get install python$version-venv" >&2
        echo "and run make setup again." >&2
        exit 1
    fi
fi

# A half-made or moved environment is made anew; a sound one is brought up to date in place.
if ! { [ -x "$venv/bin/python" ] && usable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    echo "making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
echo "installing the locked packages (about a minute the first time)"
pip install --quiet --require-hashes -r locks/dev.txt
# The build backend is among the locked packages: nothing unlocked is fetched for the project itself.
pip install --quiet --no-deps --no-build-isolation -e .
echo "ready: $venv/bin/recon --help"
