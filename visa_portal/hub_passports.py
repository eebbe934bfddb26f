"""The hub's calls about passports, as the person whose token is given."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from .hub import HubClient, NotThere, Refused, read
from .models import Used
from .models_passport import Passport, Software


class PassportCalls:
    """Calls about what sessions were started with. Errors are `hub`'s; `owner` and `name` are a session's."""

    def __init__(self, hub: HubClient):
        self.hub = hub

    async def passport(self, token: str, owner: str, name: str) -> Passport:
        """The passport of a session's last start; raises NotThere."""
        return read(Passport, await self.text(token, owner, name))

    async def text(self, token: str, owner: str, name: str) -> dict:
        """The same, as the hub has it."""
        at = f"visa/sessions/{quote(owner, safe='')}/{quote(name, safe='')}/passport"
        return await self.hub.call("GET", at, token)

    async def used(self, token: str, experiments: Sequence[str]) -> tuple[Used, ...]:
        """What was worked with on these experiments before; nothing where the hub does not remember."""
        if not experiments:
            return ()
        query = urlencode([("experiment", one) for one in experiments])
        try:
            answer = await self.hub.call("GET", f"visa/used?{query}", token)
        except (NotThere, Refused):
            # The list is none the worse for it, only its order.
            return ()
        return tuple(read(Used, one) for one in answer.get("used", ()))

    async def software(self, token: str, profile: str, plan: str, digest: str) -> Software:
        """The image that a start would get now, and whether that very one is still there."""
        query = urlencode({"profile": profile, "plan": plan} | ({"image": digest} if digest else {}))
        return read(Software, await self.hub.call("GET", f"visa/software?{query}", token))
