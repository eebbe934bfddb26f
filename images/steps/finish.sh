#!/bin/sh
# Install visa_session itself and say what the image is.
set -eu
umask 022
pip install --quiet --no-cache-dir --no-compile --no-deps --no-index --disable-pip-version-check \
    --root-user-action ignore /tmp/build/*.whl
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site"/visa_*
python -m visa_session.bootscript
python /tmp/build/finish.py /tmp/build/about.json "$site"
update-mime-database /usr/share/mime
update-desktop-database -q
fc-cache -f
rm -rf /tmp/build /root/.cache /var/log/*
