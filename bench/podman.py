"""Podman's command line, with this project's settings."""

from __future__ import annotations

import asyncio
import os

from images.engine import CONTAINERS_CONF

from .hub import BenchFailed


async def podman(*arguments: str, stdin: bytes | None = None) -> str:
    """Run podman and give what it prints; raises BenchFailed with its last words."""
    environment = {"CONTAINERS_CONF": str(CONTAINERS_CONF), **os.environ}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "podman", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    )
    out, err = await process.communicate(stdin)
    if process.returncode:
        raise BenchFailed(f"podman {arguments[0]}: {err.decode()[-500:]}")
    return out.decode()
