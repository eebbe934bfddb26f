"""Waits until each address says that it is well: well.py SECONDS ADDRESS..."""

import sys
import time
import urllib.error
import urllib.request

#: They are on this machine, or in a network of its own.
ASK = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def amiss(address):
    """What is wrong with it; empty where nothing is."""
    try:
        with ASK(address, timeout=5) as answer:
            return "" if answer.status == 200 else f"says {answer.status}"
    except urllib.error.HTTPError as error:
        return f"says {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def main(seconds, *addresses):
    end = time.monotonic() + float(seconds)
    for address in addresses:
        while wrong := amiss(address):
            if time.monotonic() > end:
                sys.exit(f"not well after {seconds} s: {address}: {wrong}")
            time.sleep(0.3)  # between two looks, up to `end`


if __name__ == "__main__":
    main(*sys.argv[1:])
