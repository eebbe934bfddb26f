#!/bin/sh
# Make /opt/visa/venv from requirements.lock: complete and hashed, so pip resolves nothing.
set -eu
umask 022
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CERT=/run/secrets/ca.pem
python3 -m venv /opt/visa/venv
pip install --quiet --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
    --disable-pip-version-check --root-user-action ignore -r /tmp/build/requirements.lock
pip uninstall --quiet --yes --disable-pip-version-check --root-user-action ignore setuptools
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Parts of Qt that no widget needs: QML, the designer and translation tools, development files.
cd "$site/PySide6"
rm -rf Qt/qml Qt/metatypes Qt/libexec Qt/translations include typesystems glue doc scripts \
    assistant designer linguist lupdate lrelease balsam* qml* svgtoqml ./*.pyi
rm -f Qt/lib/libQt6Quick* Qt/lib/libQt6Qml* Qt/lib/libQt6Designer* Qt/lib/libQt6LabsP* Qt/lib/libQt6LabsS* \
    QtQuick* QtQml* QtDesigner* QtHelp*
cd /
# The hub's own pages are served by the hub.
rm -rf /opt/visa/venv/share/jupyterhub/static
# Packages' own tests are a tenth of the weight.
find "$site" -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -print > /tmp/tests
grep -E '/(numpy|scipy|matplotlib|silx|fabio|h5py|hdf5plugin|PIL|tornado|sqlalchemy|pandas|zmq|psutil|ipykernel|jupyter_server|jedi|parso)/' /tmp/tests | xargs rm -rf
# Bytecode once, here: a session's uid cannot write it, and would compile all of it at each start.
# Unchecked: nothing in the image changes, so no source file needs a look at each import. A few packages
# carry templates that are no Python: those fail, and tests/images counts what is missing.
python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$site" || true
python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.* || true
rm -rf /tmp/tests /tmp/build /root/.cache
