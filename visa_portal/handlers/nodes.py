""" "Nodes": the machines sessions run on; one can be kept free of new sessions."""

from __future__ import annotations

from .base import LiveHandler
from .desk import AdministratorHandler


class NodesHandler(AdministratorHandler):
    """All nodes, with what runs there and what is free."""

    SAID = {
        "drained": "No new sessions start there. Those that run go on running.",
        "undrained": "New sessions may start there again.",
    }
    template = "admin_nodes.html"

    async def get(self) -> None:
        await self.present()

    async def present(self, refused: list[str] = ()) -> None:
        with self.timed("hub"):
            nodes = await self.calls.nodes()
        await self.give(self.template, nodes=nodes, refused=refused, said=self.said)


class ListHandler(LiveHandler, NodesHandler):
    """The list alone."""

    template = "admin_nodes_list.html"


class DrainHandler(NodesHandler):
    """Keep new sessions away from a node, or let them go there again."""

    async def get(self, backend: str, node: str, what: str) -> None:
        self.redirect(f"{self.site.prefix}admin/nodes")

    async def post(self, backend: str, node: str, what: str) -> None:
        with self.refusing() as refused:
            await self.calls.drain(backend, node, what == "drain", self.body("words"))
        if refused:
            await self.present(refused)
        else:
            self.done("admin/nodes", f"{what}ed")


ROUTES = [
    ("admin/nodes", NodesHandler),
    ("admin/nodes/list", ListHandler),
    ("admin/nodes/([^/]+)/([^/]+)/(drain|undrain)", DrainHandler),
]
