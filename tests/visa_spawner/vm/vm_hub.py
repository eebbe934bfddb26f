"""A hub with machines of the memory provider's."""

from traitlets.config import Config

from tests.machine_hub import PAIR, RESOURCES, Processes, until

CONFIG = {
    "hub_id": "test",
    "provider": "memory_provider.MemoryProvider",
    "watch_interval": 0.2,
    "boot_timeout": 2,
    "stop_grace": 1,
}


class Hub(Processes):
    """One whose machines are those of a `World`."""

    def __init__(self, world):
        super().__init__(Config({"VMSpawner": CONFIG}))
        self._world = world

    def there(self):
        return self._world.machines


__all__ = ["CONFIG", "PAIR", "RESOURCES", "Hub", "until"]


async def running(hub, name="tooth"):
    """A session of the hub's that runs."""
    backend = hub.backend(name)
    await backend.start()
    backend.reported_port = 8888
    await until(lambda: backend.may_suspend)
    return backend
