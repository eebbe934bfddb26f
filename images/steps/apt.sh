#!/bin/sh
# Install apt.txt; leaves no package list, archive or log behind.
set -eu
export DEBIAN_FRONTEND=noninteractive
packages=$(sed '/^#/d' /tmp/build/apt.txt)
if [ -z "$packages" ]; then
    rm -rf /tmp/build
    exit
fi
touch /tmp/begun
mkdir -p /tmp/apt/lists/partial
cat > /tmp/apt/apt.conf <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "/tmp/apt/sources";
Dir::State::Lists "/tmp/apt/lists";
Acquire::https::CaInfo "/run/secrets/ca.pem";
APT::Install-Recommends "false";
CONF
mkdir /tmp/apt/sources
cp /run/secrets/apt.list /tmp/apt/sources/host.list
export APT_CONFIG=/tmp/apt/apt.conf
# Manual pages and foreign documentation are not read in a session; licences stay.
cat > /etc/dpkg/dpkg.cfg.d/visa <<CONF
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
CONF
# Java's packages register their manual pages there, whether those are installed or not.
mkdir -p /usr/share/man/man1
apt-get update -q
apt-get upgrade -qy
echo "$packages" | xargs apt-get install -qy -o Dpkg::Use-Pty=0
apt-get clean
rm -rf /tmp/apt /tmp/build /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
# A munge daemon never runs here: sessions use the site's own by its socket. The key made above is nobody's.
rm -rf /etc/munge /var/lib/munge /var/log/munge /run/munge /etc/default/munge
# D-Bus wants a machine id, and nobody in a session could write one: this says what the machine is.
printf 'a VISA session' | md5sum | cut -c1-32 > /etc/machine-id
ln -sf /etc/machine-id /var/lib/dbus/machine-id
# A session's /tmp is a file system of its own, where the X server makes its socket directory by itself; an
# engine that copies one made here gives it a mode that lets no account in.
rm -rf /tmp/.X11-unix /tmp/.ICE-unix
# Nothing in a session may become anybody else.
find / -xdev -perm /6000 -type f -exec chmod a-s {} +
# Bytecode of Debian's own packages for Python that this step brought: see python.sh.
find /usr/lib/python3 /usr/lib/python3.* -name '*.py' -cnewer /tmp/begun > /tmp/sources
python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -i /tmp/sources || true
rm -f /tmp/begun /tmp/sources
