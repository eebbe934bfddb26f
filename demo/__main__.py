"""`python -m demo`: prepare the facility, start its parts, print how to get in, stay until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import httpx

from visa_spawner.inside import making

from . import alone, bridge, computing, gpus, machines, shutdown, software, tokens
from .login import LoginFailed
from .machine import say
from .parts import parts
from .processes import Supervisor
from .site import ROOT, Site


def prepare(site: Site) -> None:
    """Image and facility, each only where it is not there already."""
    site.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    site.run.chmod(0o700)
    for command in (
        ["images.build", "base"],
        # The demo's nodes are all on this machine, where a tree that is used is seen.
        ["images.unpack", "base", str(site.images), "--keep-hours", "0"],
        ["demo.facility", "--data", str(site.data), "--homes", str(site.homes), "--out", str(site.run)],
    ):
        if subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode:
            raise SystemExit(f"python -m {' '.join(command)} failed: see above")
    gpus.make(site.gpus)
    making.make(site.inside, [])
    try:
        computing.prepare(site)
    except RuntimeError as error:
        raise SystemExit(f"The cluster cannot be made: {error}") from error


def announce(site: Site, content: dict) -> None:
    width = max(map(len, content["accounts"]))
    print(f"\n  {site.url}\n\n  {'account'.ljust(width)}  password      roles")
    for name, account in content["accounts"].items():
        print(f"  {name.ljust(width)}  {account['password'].ljust(12)}  {', '.join(account['roles'])}")
    print("\n  Ctrl-C stops everything.\n", flush=True)


async def serve(site: Site) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    shutdown.remove_leftovers(site)
    supervisor = Supervisor(site.run, parts(site))
    preparing = None
    try:
        say("Starting container engine, Slurm cluster, identity provider, proxy, portal and hub")
        await supervisor.start()
        content = await asyncio.to_thread(tokens.write_site, site)
        announce(site, content)
        preparing = asyncio.create_task(software.prepare(site))
        await stop.wait()
        say("Stopping the sessions")
        await shutdown.stop_sessions(site)
        await asyncio.to_thread(computing.end_jobs, site)
        await supervisor.stop(only="hub")  # or it would make machines anew, to wait
        await asyncio.to_thread(machines.remove_leftovers, site)
    finally:
        say("Stopping everything")
        if preparing is not None:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        await supervisor.stop()
        shutdown.remove_leftovers(site)
        computing.take_away(site)
        (site.run / "site.json").unlink(missing_ok=True)


def main() -> None:
    if os.geteuid():
        raise SystemExit("The demo needs root: it runs containers as other accounts and owns their data.")
    site = Site.from_environment()
    site.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone.held(site):
        prepare(site)
        try:
            with bridge.held(site):
                asyncio.run(serve(site))
        except (RuntimeError, LoginFailed, httpx.HTTPError) as error:
            raise SystemExit(f"The demo did not start: {error}") from error


if __name__ == "__main__":
    main()
