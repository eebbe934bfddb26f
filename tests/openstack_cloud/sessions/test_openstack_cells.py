"""A cell of nova's that does not answer while a hub begins: nobody in it is taken for gone."""

import sqlite3
import uuid
from contextlib import closing

import pytest
from openstack_hub import made, running, until

from visa_spawner.backends.vm.provider import Silent
from visa_spawner.session import State


def change(cloud, database, *statements):
    with closing(sqlite3.connect(cloud.services.places.database(database), timeout=60)) as one, one:
        for statement, *values in statements:
            one.execute(statement, values)


@pytest.fixture
async def without_answer(cloud):
    """Have a server, by its id, in a cell whose database cannot be opened."""
    moved, cell = [], str(uuid.uuid4())
    change(
        cloud,
        "nova_api",
        (
            "INSERT INTO cell_mappings (uuid, name, transport_url, database_connection, disabled)"
            " VALUES (?, 'lost', 'none:///', 'sqlite:////nowhere/nova.db', 0)",
            cell,
        ),
    )

    async def anew():
        """Nova keeps in mind which cells there are."""
        cloud.services.stop("nova")
        cloud.services.start("nova")
        await until(lambda: cloud.services.answers("nova"))

    async def lose(server):
        moved.append(server)
        where = "SELECT id FROM cell_mappings WHERE uuid = ?"
        change(
            cloud,
            "nova_api",
            (f"UPDATE instance_mappings SET cell_id = ({where}) WHERE instance_uuid = ?", cell, server),
        )
        change(cloud, "nova", ("UPDATE instances SET hidden = 1 WHERE uuid = ?", server))
        await anew()

    async def find():
        where = "SELECT id FROM cell_mappings WHERE name = 'cell1'"
        while moved:
            server = moved.pop()
            change(
                cloud,
                "nova_api",
                (f"UPDATE instance_mappings SET cell_id = ({where}) WHERE instance_uuid = ?", server),
            )
            change(cloud, "nova", ("UPDATE instances SET hidden = 0 WHERE uuid = ?", server))

    lose.back = find
    yield lose
    await find()
    change(cloud, "nova_api", ("DELETE FROM cell_mappings WHERE uuid = ?", cell))
    await anew()


@pytest.mark.parametrize("others", [0, 3])
async def test_a_hub_that_begins_meanwhile_ends_no_session(hub, cloud, without_answer, others):
    """Nova lists such a server without a name, and with a second page of its lists not at all."""
    backend = await running(hub)
    kept = backend.get_state()
    for number in range(others):
        await made(hub, f"{number:016x}")
    await without_answer(cloud.server(backend.machine_name)["id"])
    await hub.restart()
    again = hub.backend(state=kept)
    again.reported_port = 8888
    with pytest.raises(Silent, match="nova cannot say what server"):
        await hub.provider.list()
    assert await again.poll() is None and again.status.state is State.UNKNOWN
    await without_answer.back()
    await until(lambda: again.status.state is State.RUNNING)
    assert again.machine_name in hub.machines.watch.seen
