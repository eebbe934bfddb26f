"""The services' settings and databases, in one folder."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from . import environment as installed

PASSWORD, REGION, HOST = "administrator", "RegionOne", "compute-1"
#: The services with an API, their types in the catalogue, and what follows the port in their addresses.
APIS = {
    "keystone": ("identity", "/v3"),
    "glance": ("image", ""),
    "placement": ("placement", ""),
    "nova": ("compute", "/v2.1"),
    "neutron": ("network", ""),
}
_CONF = {"glance": "glance-api.conf"}
_PASTE = {"nova": "api-paste.ini", "neutron": "api-paste.ini", "glance": "glance-api-paste.ini"}

_COMMON = """
[DEFAULT]
log_file = {log}
state_path = {state}
transport_url = {rabbit}
{more}
# Who waits for the disk in the midst of a change locks others out, and SQLite gives some of these up at once.
[database]
connection = {database}
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {state}/locks
[oslo_messaging_notifications]
driver = noop
[keystone_authtoken]
www_authenticate_uri = {identity}
token_cache_time = {remembers}
{admin}
"""
#: Seconds for which a service believes in a token. Nova does so for as long as a test waits for it not to.
_REMEMBERS = {"nova": 3}
_ADMIN = """auth_type = password
auth_url = {identity}
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
region_name = {region}
"""
_OWN = {
    "keystone": """
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/keystone/fernet
[fernet_receipts]
key_repository = {folder}/keystone/fernet
# Each token that is looked at is else put together of a dozen questions to the database.
[cache]
enabled = true
backend = oslo_cache.dict
# Or each hub's first question would cost half a second: no secret of these is worth it.
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[credential]
key_repository = {folder}/keystone/credential
""",
    "placement": """
[api]
auth_strategy = keystone
[placement_database]
connection = {database}
sqlite_synchronous = false
""",
    "glance": """
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/glance/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/glance/tasks
[paste_deploy]
flavor = keystone
config_file = {folder}/glance/glance-api-paste.ini
""",
    "neutron": """
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = openvswitch
extension_drivers = port_security
[quotas]
quota_port = -1
""",
    # A list comes in pages of two, so that whoever asks must turn them.
    "nova": """
[api]
auth_strategy = keystone
max_limit = 2
[api_database]
connection = sqlite:///{folder}/nova_api.db?timeout=60
sqlite_synchronous = false
[scheduler]
workers = 1
[conductor]
workers = 1
[filter_scheduler]
enabled_filters = ComputeFilter
[vnc]
enabled = false
[placement]
{admin}
[neutron]
{admin}
[glance]
{admin}
[service_user]
send_service_user_token = false
{admin}
""",
}
_DEFAULTS = {
    "keystone": "",
    "placement": "",
    "glance": "enabled_backends = files:file",
    "neutron": """core_plugin = ml2
service_plugins =
auth_strategy = keystone
api_paste_config = {folder}/neutron/api-paste.ini
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
agent_down_time = 1000000""",
    "nova": """host = {host}
my_ip = 127.0.0.1
compute_driver = fake.FakeDriver
osapi_compute_workers = 1
service_down_time = 600
report_interval = 60
sync_power_state_interval = -1
heal_instance_info_cache_interval = -1
rpc_response_timeout = 30""",
}


class Places:
    """One folder, and the port of each API and of RabbitMQ."""

    def __init__(self, folder: Path, ports: dict[str, int] | None = None):
        self.folder = folder
        self.ports = ports or dict.fromkeys((*APIS, "rabbit"), 1)

    def conf(self, service: str) -> Path:
        """A service's settings."""
        return self.folder / service / _CONF.get(service, f"{service}.conf")

    def log(self, name: str) -> Path:
        """What a process said."""
        return self.folder / f"{name}.log"

    def database(self, name: str) -> Path:
        """A file of SQLite's."""
        return self.folder / f"{name}.db"

    def address(self, service: str) -> str:
        """Where an API answers."""
        return f"http://127.0.0.1:{self.ports[service]}{APIS[service][1]}"

    @property
    def rabbit(self) -> str:
        """RabbitMQ's address, with its own guest's name, which it lets in from this machine alone."""
        return f"rabbit://guest:guest@127.0.0.1:{self.ports['rabbit']}/"


def environment(places: Places) -> dict[str, str]:
    """What the services' programs are told by their environment."""
    found = {f"OS_{name.upper()}_CONFIG_DIR": str(places.folder / name) for name in APIS}
    found["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf"
    found["PATH"] = f"{installed.VENV / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    return found | {"HOME": str(places.folder), "PYTHONWARNINGS": "ignore", "LANG": "C.UTF-8"}


def write(places: Places) -> None:
    """Write all settings."""
    places.folder.mkdir(parents=True, exist_ok=True)
    for name in APIS:
        own = places.folder / name
        own.mkdir(exist_ok=True)
        admin = _ADMIN.format(identity=places.address("keystone"), password=PASSWORD, region=REGION)
        values = {
            "folder": places.folder,
            "state": own,
            "log": places.log(name),
            "rabbit": places.rabbit,
            "identity": places.address("keystone"),
            "database": f"sqlite:///{places.database(name)}?timeout=60",
            "admin": admin,
            "remembers": _REMEMBERS.get(name, 300),
            "host": HOST,
        }
        text = _COMMON.format(more=_DEFAULTS[name].format(**values), **values) + _OWN[name].format(**values)
        places.conf(name).write_text(text)
        if name in _PASTE:
            shutil.copy(installed.VENV / "etc" / name / _PASTE[name], own / _PASTE[name])
    for name in ("images", "staging", "tasks"):
        (places.folder / "glance" / name).mkdir(exist_ok=True)
    for name in ("fernet", "credential"):
        _keys(places.folder / "keystone" / name)


def _keys(folder: Path) -> None:
    """The two keys that keystone begins with."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("0", "1"):
        (folder / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def fill(places: Places) -> None:
    """Copy the databases, and write into them what is different in each run: addresses."""
    for path in installed.TEMPLATE.glob("*.db"):
        shutil.copy(path, places.folder / path.name)
    shutil.copy(places.database("nova"), places.database("nova_cell0"))
    for path in places.folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # whoever reads holds up nobody who writes
    with sqlite3.connect(places.database("keystone")) as keystone:
        # The identity's own may be there, without an address.
        keystone.execute("DELETE FROM endpoint")
        keystone.execute("DELETE FROM service")
        keystone.execute(
            "INSERT OR IGNORE INTO region (id, description, extra) VALUES (?, '', '{}')", [REGION]
        )
        for name, (kind, _) in APIS.items():
            service = uuid.uuid4().hex
            row = [service, kind, f'{{"name": "{name}"}}']
            keystone.execute("INSERT INTO service (id, type, enabled, extra) VALUES (?, ?, 1, ?)", row)
            for interface in ("public", "internal", "admin"):
                keystone.execute(
                    "INSERT INTO endpoint (id, interface, region_id, service_id, url, extra, enabled)"
                    " VALUES (?, ?, ?, ?, ?, '{}', 1)",
                    [uuid.uuid4().hex, interface, REGION, service, places.address(name)],
                )
    with sqlite3.connect(places.database("nova_api")) as nova:
        for name, database, line in (("cell0", "nova_cell0", "none:///"), ("cell1", "nova", places.rabbit)):
            number = uuid.UUID(int=0) if name == "cell0" else uuid.uuid4()
            where = f"sqlite:///{places.database(database)}?timeout=60"
            nova.execute(
                "INSERT INTO cell_mappings (uuid, name, transport_url, database_connection, disabled)"
                " VALUES (?, ?, ?, ?, 0)",
                [str(number), name, line, where],
            )
        # Its scheduler would look for new hosts at some moment of its first minute.
        nova.execute(
            "INSERT INTO host_mappings (cell_id, host) SELECT id, ? FROM cell_mappings WHERE name = 'cell1'",
            [HOST],
        )
    with sqlite3.connect(places.database("neutron")) as neutron:
        # The word of an agent on the compute host, which would connect ports there: no port is bound without.
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        neutron.execute(
            "INSERT INTO agents (id, agent_type, binary, topic, host, admin_state_up, created_at, started_at,"
            " heartbeat_timestamp, configurations, load) VALUES (?, 'Open vSwitch agent',"
            " 'neutron-openvswitch-agent', 'N/A', ?, 1, ?, ?, ?, '{}', 0)",
            [str(uuid.uuid4()), HOST, now, now, now],
        )
