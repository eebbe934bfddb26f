#!/bin/sh
# Install visa_session itself, take away what nobody needs, write the list of packages.
set -eu
umask 022
pip install --quiet --no-cache-dir --no-compile --no-deps --no-index --disable-pip-version-check \
    --root-user-action ignore /tmp/build/*.whl
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site"/visa_*
cp "$site/silx/resources/gui/logo/silx.svg" /usr/share/pixmaps/silx.svg
update-mime-database /usr/share/mime
update-desktop-database -q
# Nothing in a session may become anybody else.
find / -xdev -perm /6000 -type f -exec chmod a-s {} +
mkdir -p /opt/visa
{
    echo "# Debian"
    dpkg-query -W -f '${Package} ${Version}\n'
    echo "# Python"
    pip list --format freeze --disable-pip-version-check
} > /opt/visa/packages.txt
fc-cache -f
rm -rf /tmp/build /root/.cache /var/log/*
