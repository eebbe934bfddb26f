#!/bin/sh
# Install what makes a machine of an image; leaves no package list, archive or log behind.
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /tmp/apt/lists/partial /tmp/apt/sources
cat > /tmp/apt/apt.conf <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "/tmp/apt/sources";
Dir::State::Lists "/tmp/apt/lists";
Acquire::https::CaInfo "/run/secrets/ca.pem";
APT::Install-Recommends "false";
DPkg::Options "--force-confold";
CONF
cp /run/secrets/apt.list /tmp/apt/sources/host.list
export APT_CONFIG=/tmp/apt/apt.conf
apt-get update -q
sed '/^#/d' /tmp/build/apt.txt | xargs apt-get install -qy -o Dpkg::Use-Pty=0
apt-get clean
rm -rf /tmp/apt /tmp/build /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
