"""Many sessions out of one that was really started: its rows in the database and its container, copied.

So thousands are there in seconds, as a hub would have left them. The hub must not run meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets

import sqlalchemy as sa
from jupyterhub.utils import hash_token

from .facility import SESSION, account, experiment, person
from .site import Site

#: Containers that are put at once.
AT_ONCE = 500


class Tables:
    """The hub's database, table by table, with keys of our own giving."""

    def __init__(self, address: str):
        self.engine = sa.create_engine(address)
        self.known = sa.MetaData()
        self.known.reflect(self.engine)
        self.rows: dict[str, list[dict]] = {}
        self._last: dict[str, int] = {}

    def all(self, table: str, **where) -> list[dict]:
        found = self.known.tables[table]
        question = sa.select(found)
        for column, value in where.items():
            question = question.where(found.c[column] == value)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(question).mappings()]

    def add(self, table: str, row: dict) -> int:
        """Note a row to be written; gives its key where the table has one of its own."""
        key = 0
        if "id" in row:
            if table not in self._last:
                ids = self.known.tables[table].c.id
                with self.engine.connect() as connection:
                    self._last[table] = connection.execute(sa.select(sa.func.max(ids))).scalar() or 0
            key = self._last[table] = self._last[table] + 1
            row = row | {"id": key}
        self.rows.setdefault(table, []).append(row)
        return key

    def write(self) -> None:
        with self.engine.begin() as connection:
            for table in self.known.sorted_tables:
                rows = self.rows.get(table.name)
                if rows:
                    connection.execute(table.insert(), rows)
                    if connection.dialect.name == "postgresql" and "id" in table.c:
                        connection.execute(
                            sa.text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), :last)"),
                            {"last": self._last[table.name]},
                        )
        self.engine.dispose()


def grow(site: Site, count: int, within: float = 20) -> None:
    """Have `count` people with a running session each; p00000 has one that was started.

    `within`: the sessions open their lines over so many seconds.
    """
    tables, first = Tables(site.database), person(0)
    (user,) = tables.all("users", name=first)
    spawners = tables.all("spawners", user_id=user["id"])
    (running,) = [row for row in spawners if row["server_id"]]
    (server,) = tables.all("servers", id=running["server_id"])
    kept = json.loads(running["state"])["visa"]
    (api_token,) = tables.all("api_tokens", id=kept["token"])
    (client,) = [
        row
        for row in tables.all("oauth_clients")
        if row["identifier"] == f"jupyterhub-user-{first}-{SESSION}"
    ]
    roles = tables.all("user_role_map", user_id=user["id"])
    (passport,) = tables.all("visa_passports", owner=first)
    groups = {row["name"]: row["id"] for row in tables.all("groups")}
    (container,) = site.bench.get("http://bench/bench/containers").json()
    token = dict(one.split("=", 1) for one in container["body"]["Env"])["JUPYTERHUB_API_TOKEN"]
    states = asyncio.run(_auth_states(site, count))
    containers = []
    for number in range(1, count):
        new, node = secrets.token_hex(16), site.nodes[number % len(site.nodes)]

        def now(value, number=number, new=new):
            return _changed(value, number, token, new)

        user_id = tables.add(
            "users",
            now(user) | {"cookie_id": secrets.token_hex(16), "encrypted_auth_state": states[number]},
        )
        for row in roles:
            tables.add("user_role_map", row | {"user_id": user_id})
        for group in (f"experiment-{experiment(number)}", "role-scientist"):
            if group not in groups:
                groups[group] = tables.add("groups", {"id": 0, "name": group, "properties": "{}"})
            tables.add("user_group_map", {"user_id": user_id, "group_id": groups[group]})
        hashed = {"hashed": hash_token(new, rounds=1, salt=8, algorithm="sha512"), "prefix": new[:4]}
        token_id = tables.add("api_tokens", now(api_token) | hashed | {"user_id": user_id})
        tables.add("oauth_clients", now(client) | {"secret": hash_token(new, rounds=1)})
        for row in spawners:
            own = {"user_id": user_id}
            if row["server_id"]:
                state = json.loads(now(row["state"]))
                state["visa"]["token"], state["child_state"]["node"] = token_id, node
                own |= {"server_id": tables.add("servers", now(server)), "state": json.dumps(state)}
            tables.add("spawners", now(row) | own)
        passport_id = tables.add("visa_passports", now(passport))
        tables.add(
            "visa_passport_experiments", {"passport_id": passport_id, "experiment": experiment(number)}
        )
        containers.append(json.loads(now(json.dumps(container))) | {"node": node})
    tables.write()
    for begin in range(0, len(containers), AT_ONCE):
        some = containers[begin : begin + AT_ONCE]
        site.bench.post(f"http://bench/bench/put?within={within}", json=some).raise_for_status()


def _changed(value, number: int, token: str, new: str):
    """A row, or text of it, of the first person's, as it is this one's."""
    if isinstance(value, dict):
        return {name: _changed(one, number, token, new) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_changed(one, number, token, new) for one in value]
    if not isinstance(value, str):
        return value
    for old, instead in (
        (person(0), person(number)),
        (experiment(0), experiment(number)),
        ("100000:100000", f"{100000 + number}:{100000 + number}"),
        (token, new),
    ):
        value = value.replace(old, instead)
    return value


async def _auth_states(site: Site, count: int) -> list[bytes]:
    os.environ["JUPYTERHUB_CRYPT_KEY"] = site.crypt_key
    from jupyterhub.crypto import CryptKeeper, encrypt

    CryptKeeper.clear_instance()  # it keeps the key of the last site
    return [
        await encrypt({"account": account(str(site.root), person(number)).model_dump(mode="json")})
        for number in range(count)
    ]
