#!/bin/sh
# Starts voiceguard in the container: start.sh COMMAND [OPTION]...
#
# Encoders that the image brings are offered to a state directory that has none of that name, whole
# or not at all; they are never put back over somebody's own.
set -eu
seed=${SEED_MODELS:-/opt/voiceguard/models}
for model in "$seed"/*/; do
    [ -d "$model" ] || continue
    there=$VOICEGUARD_STATE_DIR/models/$(basename "$model")
    [ -e "$there" ] && continue
    mkdir -p -m 700 "$VOICEGUARD_STATE_DIR/models"
    partial=$VOICEGUARD_STATE_DIR/models/.importing-$$
    rm -rf "$partial"
    cp -r "$model" "$partial"
    mv -T "$partial" "$there"
done
exec voiceguard "$@"
