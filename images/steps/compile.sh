#!/bin/sh
# Make wheels in /tmp/wheels of what has none for Linux, from the source that compiled.lock names by its hash.
# All of this stays in a stage of its own: the image gets the wheels.
set -eu
mkdir /tmp/wheels
grep -q '==' /tmp/compile/compiled.lock || exit 0
mkdir -p /tmp/build
printf 'g++\npython3-dev\nopencl-headers\nocl-icd-opencl-dev\n' > /tmp/build/apt.txt
sh /tmp/compile/apt.sh
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CERT=/run/secrets/ca.pem
# pyvkfft: for OpenCL, which GPUs and CPUs have; CUDA's compiler is not in Debian's free part.
export VKFFT_BACKEND=opencl
names=$(sed -n 's/==.*//p' /tmp/compile/compiled.lock | paste -sd,)
pip wheel --quiet --no-cache-dir --no-deps --require-hashes --no-binary "$names" --disable-pip-version-check \
    --wheel-dir /tmp/wheels -r /tmp/compile/compiled.lock
