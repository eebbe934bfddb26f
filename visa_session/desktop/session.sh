#!/bin/sh
# Xfce's parts, started beside each other. Its session manager would start them one after the other, run the
# autostart entries of a workstation (screen lock, power manager) and take half a second more.
# VISA_DESKTOP_CONFIG is the configuration directory of what draws the desktop's icons: see xfce.py.
# VISA_DESKTOP_BUS is where desktop.py finds the address of the message bus, whole at any moment.
printf %s "$DBUS_SESSION_BUS_ADDRESS" > "$VISA_DESKTOP_BUS.new" && mv "$VISA_DESKTOP_BUS.new" "$VISA_DESKTOP_BUS"

# A part that crashes is started again, a few times: without a window manager nothing can be moved.
keep() {
    for _ in 1 2 3 4 5; do
        "$@" && return
        sleep 1
    done
}

# The picture first: it is the least work, and shows that something happens.
keep env XDG_CONFIG_HOME="$VISA_DESKTOP_CONFIG" xfdesktop --disable-wm-check &
keep xfwm4 &
keep xfce4-panel --disable-wm-check &
keep xfsettingsd --no-daemon --disable-wm-check &
wait
