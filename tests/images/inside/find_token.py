"""Look for a text, given as input, in what this account may read of every process."""

import glob
import sys

wanted = sys.stdin.read().encode()
seen = 0
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        held = open(path, "rb").read()
    except OSError:
        continue
    seen += bool(held)
    if wanted in held:
        print(path)
print("looked at", seen)
