"""Podman's command line, with this project's settings."""

from __future__ import annotations

import asyncio

from images.engine import podman_environment

from .hub import BenchFailed


async def podman(*arguments: str, stdin: bytes | None = None) -> str:
    """Run podman and give what it prints; raises BenchFailed with its last words."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "podman", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=podman_environment()
    )
    out, err = await process.communicate(stdin)
    if process.returncode:
        raise BenchFailed(f"podman {arguments[0]}: {err.decode()[-500:]}")
    return out.decode()
