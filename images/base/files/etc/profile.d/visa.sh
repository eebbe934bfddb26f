# A login shell finds what the session's kernels find: the image's Python, and what the site put before it.
if [ -n "$VISA_PATH" ]; then
    PATH=$VISA_PATH
fi
