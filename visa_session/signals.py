"""Wait for signals and for sockets at once, without a handler that could lose one."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_SFD_CLOEXEC = os.O_CLOEXEC
#: Bytes of the C library's set of signals.
_SET_SIZE = 128


@contextmanager
def readable_when(signals: Iterable[signal.Signals]) -> Iterator[int]:
    """A descriptor that is readable while one of these blocked signals is pending; raises OSError.

    It is not read: `signal.sigtimedwait` takes the signal, or leaves it to whoever waits for it next.
    """
    bits = sum(1 << (number - 1) for number in signals)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.signalfd(-1, bits.to_bytes(_SET_SIZE, "little"), _SFD_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd failed")
    try:
        yield descriptor
    finally:
        os.close(descriptor)
