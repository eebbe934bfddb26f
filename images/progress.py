"""What a build says while it works: a line when a step begins, one when it is done."""

from __future__ import annotations

import time
from contextlib import contextmanager


@contextmanager
def step(words: str):
    """Two whole lines, so that builds side by side do not mix theirs: what is done, how long it took."""
    print(f"{words} ...", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"{words:<52}  failed", flush=True)
        raise
    print(f"{words:<52}{time.monotonic() - began:7.1f} s", flush=True)
