"""Sessions in whole machines of their own; docs/developers/vm.md follows one."""

from .spawner import VMSpawner

__all__ = ["VMSpawner"]
