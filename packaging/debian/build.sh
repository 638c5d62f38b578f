#!/bin/sh
# Builds the Debian package: build.sh WHEEL FOLDER [VERSION]; prints its path.
#
# For this machine's architecture and the Debian that it runs: the environment in /opt/voiceguard
# stands on that Debian's /usr/bin/python3, and its compiled parts on that Python's version. All that
# is needed is inside, so that installing it asks for nothing but Debian's own packages. In the
# environment: COMPRESSION (xz; none is quick), SOURCE_DATE_EPOCH (the time of every file).
set -eu
wheel=$(readlink -f "$1") folder=$2
here=$(dirname "$(readlink -f "$0")")
version=${3:-$(basename "$wheel" | cut -d- -f2)}
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022

DESTDIR=$stage PYTHON=/usr/bin/python3 sh "$here/../container/install.sh" /opt/voiceguard "$wheel"
packages=$(echo "$stage"/opt/voiceguard/lib/python3*/site-packages)
find "$packages" -type f -exec chmod 644 {} +
carried=$packages/voiceguard/service

install -d "$stage/usr/bin" "$stage/usr/share/doc/voiceguard/examples" "$stage/DEBIAN"
ln -s /opt/voiceguard/bin/voiceguard "$stage/usr/bin/voiceguard"
install -D -m 644 "$carried/units/voiceguard.service" \
    "$stage/usr/lib/systemd/system/voiceguard.service"
install -D -m 644 "$here/account.conf" \
    "$stage/usr/lib/systemd/system/voiceguard.service.d/account.conf"
install -D -m 644 "$here/voiceguard.toml" "$stage/etc/voiceguard/voiceguard.toml"
install -D -m 644 "$here/lintian-overrides" "$stage/usr/share/lintian/overrides/voiceguard"
install -m 644 "$carried/defaults/voiceguard.toml" "$stage/usr/share/doc/voiceguard/examples/"
"$stage/opt/voiceguard/bin/python" "$here/copyright.py" "$packages" \
    > "$stage/usr/share/doc/voiceguard/copyright"
gzip -9n < "$here/../../CHANGELOG.md" > "$stage/usr/share/doc/voiceguard/CHANGELOG.md.gz"
date=$(date --utc --rfc-email --date="@${SOURCE_DATE_EPOCH:-$(date +%s)}")
gzip -9n > "$stage/usr/share/doc/voiceguard/changelog.gz" <<END
voiceguard ($version) unstable; urgency=medium

  * What changes is in CHANGELOG.md.gz.

 -- $(sed -n 's/^Maintainer: //p' "$here/control")  $date
END

minor=$(/usr/bin/python3 -c 'import sys; print(sys.version_info.minor)')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@PYTHON@/python3 (>= 3.$minor~), python3 (<< 3.$((minor + 1))~)/" \
    -e "s/@SIZE@/$(du -sk --apparent-size "$stage" | cut -f1)/" \
    "$here/control" > "$stage/DEBIAN/control"
echo /etc/voiceguard/voiceguard.toml > "$stage/DEBIAN/conffiles"
install -m 755 "$here/postinst" "$here/prerm" "$here/postrm" "$stage/DEBIAN/"
(cd "$stage" && find opt usr -type f -print0 | sort -z | xargs -0 md5sum) > "$stage/DEBIAN/md5sums"

# The same package whenever it is built: no time but the last commit's, nobody's files but root's.
[ -z "${SOURCE_DATE_EPOCH:-}" ] \
    || find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$folder"
chmod 755 "$stage"
dpkg-deb --root-owner-group "-Z${COMPRESSION:-xz}" --build "$stage" \
    "$folder/voiceguard_${version}_$architecture.deb" >&2
echo "$folder/voiceguard_${version}_$architecture.deb"
