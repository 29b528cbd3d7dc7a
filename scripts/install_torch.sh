#!/bin/sh
# Adds torch to the virtual environment for the tests that hold the served networks against it (docs/adr/0060).
# Not in the locks: a CPU build and the index's build have the same version and different hashes.
# RECON_TORCH=no leaves it out; those tests are then skipped, with the reason.
set -eu
venv=${VENV:-.venv}
version=2.13.0

if [ "${RECON_TORCH:-yes}" = no ]; then
    echo "torch is left out (RECON_TORCH=no)"
    exit 0
fi
if "$venv/bin/python" -c "import sys, torch; sys.exit(torch.__version__.split('+')[0] != '$version')" >/dev/null 2>&1; then
    exit 0
fi
echo "installing torch $version for the tests"
if ! "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "torch==$version"; then
    echo "torch $version could not be installed: its tests will be skipped" >&2
fi
