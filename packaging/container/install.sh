#!/bin/sh
# Installs voiceguard without torch: install.sh FOLDER PACKAGE [PIP OPTION]...
#
# FOLDER becomes a virtual environment, PACKAGE is a wheel or the checkout. Container, add-on and
# Debian package are built by it, and tests install by it. What nothing needs to run is left out:
# pip, tests, headers, stubs. Bytecode stays, since nobody may write it later: without it every
# start compiles all there is, for seconds. In the environment:
#
#   SEED          CAM++ is brought into that state directory, by pip, which then goes
#   DESTDIR       a root that FOLDER is written below, for a package that is unpacked elsewhere
#   PYTHON        the Python to stand on; python3
#   REQUIREMENTS  requirements-light.txt
set -eu
folder=$1 package=$2
shift 2
here=$(dirname "$(readlink -f "$0")")
root=${DESTDIR:-}
python=$root$folder/bin/python

"${PYTHON:-python3}" -m venv "$root$folder"
"$python" -m pip install --disable-pip-version-check --quiet --no-deps --no-compile \
    "$@" --requirement "${REQUIREMENTS:-$here/../../requirements-light.txt}" "$package"
"$python" -m pip uninstall --quiet --yes setuptools 2>/dev/null || true

if [ -n "${SEED:-}" ]; then
    VOICEGUARD_STATE_DIR=$SEED "$root$folder/bin/voiceguard" models pull campplus
fi

packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages"/numpy/*/tests "$packages"/numpy/tests "$packages"/numpy/_core/include
# The one model that is run stays.
find "$packages/silero_vad/data" -type f ! -name silero_vad.onnx ! -name '*.py' -delete
for each in transformers tools quantization datasets; do rm -rf "$packages/onnxruntime/$each"; done
find "$packages" -name '*.pyi' -type f -delete
rm -rf "$packages"/pip "$packages"/pip-*.dist-info
find "$root$folder/bin" -type f ! -name voiceguard -delete
sed -i "1s|^#!$root/|#!/|" "$root$folder/bin/voiceguard"
sed -i '/^command = /d' "$root$folder/pyvenv.cfg"
# Never compared with its source: times differ from unpacking to unpacking.
find "$packages" -name __pycache__ -type d -prune -exec rm -rf {} +
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / "$packages" >/dev/null
