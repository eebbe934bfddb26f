#!/bin/sh
# Make a machine of the image: no password, no key, no login, nothing that listens.
set -eu
systemctl set-default multi-user.target
systemctl enable systemd-networkd.service systemd-resolved.service systemd-timesyncd.service
# A session that waits for its person, in every machine.
systemctl enable visa-session.service
# No login on a console, whatever the kernel is told; nothing that changes the machine while people work.
systemctl mask getty@.service serial-getty@.service console-getty.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    systemd-networkd-wait-online.service
# What costs a boot time, and no session needs: file systems for who looks into the kernel, programs for other
# machines' binaries, records of logins, and the kernel's own audit, which nobody reads. Modules are loaded when a
# device, or a program that opens one, needs them.
systemctl mask sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount \
    modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service \
    modprobe@loop.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-pstore.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journald-audit.socket x11-common.service
# A munge daemon never runs here: see the image's own packages.
systemctl mask munge.service
grep -q '^root:[*!]' /etc/shadow
# The image's own list, with what came for the machine.
{
    echo "# Debian"
    dpkg-query -W -f '${Package} ${Version}\n'
    sed -n '/^# Python/,$p' /opt/visa/packages.txt
} > /tmp/build/packages.txt
cp /tmp/build/packages.txt /opt/visa/packages.txt
# Each machine makes its own at its first start.
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed /etc/ssh/ssh_host_*
# Nobody in a session may become anybody else, on a machine neither.
find / -xdev -perm /6000 -type f -exec chmod a-s {} +
rm -rf /tmp/build /var/log/*.log
