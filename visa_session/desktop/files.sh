#!/bin/sh
# The file manager: without the name of a folder it opens at the session's data, which xfce.py names.
[ $# -gt 0 ] || set -- "$VISA_FILES"
exec thunar "$@"
