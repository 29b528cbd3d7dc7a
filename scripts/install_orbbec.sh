#!/bin/sh
# Adds the SDK of Orbbec cameras to the virtual environment, for the tests of those cameras and for kiosks.
# Alone and without what its wheel asks for (numpy<2, OpenCV, Open3D, a game library): it runs without them, and with numpy 2.
# RECON_ORBBEC=no leaves it out; those tests are then skipped, with the reason.
set -eu
venv=${VENV:-.venv}
version=$(sed -n 's/^pyorbbecsdk2==\([^ ]*\).*/\1/p' locks/orbbec.txt)

if [ "${RECON_ORBBEC:-yes}" = no ]; then
    echo "the SDK of Orbbec cameras is left out (RECON_ORBBEC=no)"
    exit 0
fi
works() {
    "$venv/bin/python" -c "import pyorbbecsdk, importlib.metadata as m, sys; sys.exit(m.version('pyorbbecsdk2') != '$version')" \
        >/dev/null 2>&1
}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

if works; then exit 0; fi
echo "installing the SDK of Orbbec cameras $version"
if ! pip install --quiet --no-deps --require-hashes -r locks/orbbec.txt || ! works; then
    pip uninstall --quiet --yes pyorbbecsdk2 >/dev/null 2>&1 || true
    echo "pyorbbecsdk2 $version does not run here: the tests of Orbbec cameras will be skipped" >&2
fi
