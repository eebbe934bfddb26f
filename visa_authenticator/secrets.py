"""The client secret, from a file that only the hub may read."""

from __future__ import annotations

import os
import stat


def read_secret(path: str) -> str:
    """The first line of the file.

    Raises ValueError, naming the file, when it cannot be read, is empty, or others may read or change it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"client_secret_file {path} cannot be read: {error}") from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ValueError(f"client_secret_file {path} is open to others: set its mode to 0600")
    if not text:
        raise ValueError(f"client_secret_file {path} is empty")
    return text
