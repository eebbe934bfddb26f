"""What this package has to know of the people who are let into sessions; `visa_sharing` knows them."""

from __future__ import annotations


class Members:
    """A hub whose sessions are their owners' alone. `visa_sharing` puts its own in the place of this."""

    async def may_have(self, row, experiment: str) -> None:
        """Raise StartRefused where somebody who could have left a program in this run may not see that."""

    async def settled(self, row) -> None:
        """Return once nobody is in a session who may not see what it has, or is about to have.

        `row` is its `orm.Spawner`. Raises StartRefused where that cannot be told.
        """
