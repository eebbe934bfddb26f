#!/bin/sh
# Bring requirements.lock into /opt/visa/venv: complete and hashed, so pip resolves nothing. A technique's
# lock holds what base's lacks.
set -eu
umask 022
if ! grep -q '==' /tmp/build/requirements.lock; then
    rm -rf /tmp/build
    exit
fi
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CERT=/run/secrets/ca.pem
touch /tmp/begun
made=
if [ ! -e /opt/visa/venv ]; then
    made=yes
    python3 -m venv /opt/visa/venv
fi
pip install --quiet --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
    --disable-pip-version-check --root-user-action ignore -r /tmp/build/requirements.lock
for wheel in /tmp/build/wheels/*.whl; do
    [ ! -e "$wheel" ] || pip install --quiet --no-cache-dir --no-compile --no-deps --no-index \
        --disable-pip-version-check --root-user-action ignore "$wheel"
done
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ "$made" ]; then
    pip uninstall --quiet --yes --disable-pip-version-check --root-user-action ignore setuptools
    # Parts of Qt that no widget needs: QML, the designer, sound and film, devices, translations.
    cd "$site/PyQt6"
    rm -rf Qt6/qml Qt6/qsci Qt6/translations bindings lupdate uic/widget-plugins ./*.pyi
    cd Qt6/lib
    rm -f libQt6Quick* libQt6Qml* libQt6Labs* libQt6Designer* libQt6Shader* libQt6*Quick.so* libQt6Bluetooth* \
        libQt6Nfc* libQt6Multimedia* libQt6SpatialAudio* libQt6RemoteObjects* libQt6Sensors* libQt6WebChannel* \
        libQt6TextToSpeech* libQt6Positioning* libav* libsw*
    cd ../..
    rm -f QtQuick* QtQml* QtDesigner* QtBluetooth* QtNfc* QtMultimedia* QtSpatialAudio* QtRemoteObjects* \
        QtSensors* QtWebChannel* QtTextToSpeech* QtPositioning*
    cd Qt6/plugins
    rm -rf assetimporters geometryloaders multimedia position qmllint qmlls renderers renderplugins sceneparsers \
        scxmldatamodel sensors texttospeech webview
    cd /
fi
# selkies would offer itself to jupyter-server-proxy, with every visitor in control and none logged in; the
# session's own relay serves it, without its page.
if [ -e "$site/selkies" ]; then
    sed -i '/^\[jupyter_serverproxy_servers\]$/,/^$/d' "$site"/selkies-*.dist-info/entry_points.txt
    rm -rf "$site/selkies/selkies_web"
fi
# The hub's own pages are served by the hub.
rm -rf /opt/visa/venv/share/jupyterhub/static
# Packages' own tests are a tenth of the weight.
find "$site" -cnewer /tmp/begun -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -print > /tmp/tests
grep -E '/(numpy|scipy|matplotlib|silx|fabio|h5py|hdf5plugin|PIL|tornado|sqlalchemy|pandas|zmq|psutil|ipykernel|jupyter_server|jedi|parso|skimage|sklearn|numba|nabu|tomwer|numexpr|sympy|dask|xarray|networkx)/' /tmp/tests | xargs -r rm -rf
# Bytecode once, here: a session's uid cannot write it, and would compile all of it at each start.
# Unchecked: nothing in the image changes, so no source file needs a look at each import. A few packages
# carry templates that are no Python: those fail, and tests/images counts what is missing.
find "$site" -name '*.py' -cnewer /tmp/begun > /tmp/sources
python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -i /tmp/sources || true
rm -rf /tmp/begun /tmp/tests /tmp/sources /tmp/build /root/.cache
