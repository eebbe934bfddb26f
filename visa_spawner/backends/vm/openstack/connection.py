"""OpenStack's APIs with an application credential, and what their answers mean.

openstacksdk has the credentials, the catalogue and the token, which it asks for anew when a service no longer
takes it. What no service has answered is silence; what one has answered is its word.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from ..lane import Lane
from ..provider import Refused, Silent

T = TypeVar("T")

#: Nova's interface as of 2019: servers come with their flavour, and those of a cell that is down are listed.
COMPUTE = "2.79"
#: Characters of an answer's own words that are kept.
_WORDS = 500
NO_ROOM = (
    "The facility's cloud has no room for this session now: what VISA may take there is in use. Try again"
    " later, or choose a smaller plan."
)
_REFUSED = "The facility's cloud refused. Tell the facility's staff."
#: What nova says of a quota, of its own or of neutron's.
_SERVER = re.compile(r"/servers/[0-9a-fA-F-]{36}(/|$)")
_QUOTA = ("quota", "maximum number of", "limit exceeded")


class Api:
    """One connection as a call in a thread has it."""

    def __init__(self, connection: Any):
        self._connection = connection

    @property
    def project(self) -> str:
        """The project of the credential."""
        return self._connection.current_project_id

    def ask(self, service: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One question to `compute`, `image` or `network`: its answer. Raises Silent, Refused."""
        if service == "compute":
            options.setdefault("microversion", COMPUTE)
        answer = getattr(self._connection, service).request(path, method, raise_exc=False, **options)
        if answer.status_code >= 400:
            gone = service == "compute" and _SERVER.match(path) is not None and _no_server(answer)
            raise refusal(f"{method} {path}", answer.status_code, _said(answer), gone)
        return answer.json() if answer.content else {}

    def each(self, service: str, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        """What a list has, page by page."""
        for page in self.pages(service, path, key, **params):
            yield from page

    def pages(self, service: str, path: str, key: str, **params: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list, each asked for when it is wanted."""
        while True:
            page = self.ask(service, "GET", path, params=params)
            yield page[key]
            following = _next(page, key)
            if not following:
                return
            # Not its address, which may be another than the one by which we reach it.
            params = dict(parse_qsl(urlsplit(following).query))


class Project:
    """The one project that is believed: that of the setting, or of the first credential that was taken."""

    def __init__(self, id: str = ""):
        self._id, self._lock = id, threading.Lock()

    def check(self, found: str | None) -> None:
        """Raise Silent for another: it has none of our servers, which says nothing of them."""
        with self._lock:
            self._id = self._id or found or ""
            if not found or found != self._id:
                raise Silent(f"the credential is one of project {found}, and the machines are in {self._id}")


class Cloud(Lane):
    """One connection and its threads; `timeout`: seconds a call may take, unless it says otherwise."""

    def __init__(self, clouds_file: str, cloud: str, project: Project, timeout: float = 20, threads: int = 4):
        super().__init__(f"OpenStack {cloud}", timeout, threads)
        self._file, self._cloud, self._project = clouds_file, cloud, project
        self._lock = threading.Lock()
        self._connection: Any = None

    def _ask(self, ask: Callable[[Api], T]) -> T:
        from keystoneauth1.exceptions import ClientException
        from openstack.exceptions import SDKException
        from requests.exceptions import RequestException

        try:
            api = Api(self._open())
            self._project.check(api.project)
            return ask(api)
        except Silent:
            self._drop()
            raise
        except (ClientException, SDKException, RequestException) as error:
            # Of the way to a service: keystone's answers, the catalogue, the network.
            self._drop()
            raise Silent(f"{self.name}: {str(error)[:_WORDS]}") from error
        except (KeyError, TypeError, ValueError, OSError) as error:
            self._drop()
            raise Silent(f"{self.name}: {type(error).__name__}: {str(error)[:_WORDS]}") from error

    def _open(self) -> Any:
        with self._lock:
            if self._connection is None:
                from openstack.config import OpenStackConfig
                from openstack.connection import Connection

                # Nothing of the hub's environment, and no other file.
                config = OpenStackConfig(
                    config_files=[self._file], secure_files=[], vendor_files=[], load_envvars=False
                )
                region = config.get_one(cloud=self._cloud, api_timeout=self._timeout)
                self._connection = Connection(config=region, app_name="visa-jupyterhub")
            return self._connection

    def _drop(self) -> None:
        """Open anew for the next call: what was found out about the services may be wrong."""
        with self._lock:
            self._connection = None


def refusal(asked: str, status: int, said: str, gone: bool = False) -> Exception:
    """What an answer means that is no success; `gone`: that nova says there is no such server."""
    text = f"{asked}: {status}: {said}"
    if status == 404 and gone:
        return Refused("The machine is gone.", text, "gone")
    # Any other 404 is that of something on the way, which has lost its service.
    if status in (401, 404, 408, 429) or status >= 500:
        return Silent(text)
    if status in (403, 409, 413) and any(word in said.lower() for word in _QUOTA):
        return Refused(NO_ROOM, text, "room")
    if status == 409:
        return Refused(_REFUSED, text, "state")
    return Refused(_REFUSED, text)


def _said(answer: Any) -> str:
    """The words of an answer, wherever its service puts them."""
    try:
        (inside,) = answer.json().values()
        return str(inside.get("message") or inside)[:_WORDS]
    except (ValueError, AttributeError, TypeError):
        return str(answer.text)[:_WORDS]


def _no_server(answer: Any) -> bool:
    try:
        return set(answer.json()) == {"itemNotFound"}
    except (ValueError, TypeError):
        return False


def _next(page: dict[str, Any], key: str) -> str:
    for link in page.get(f"{key}_links") or ():
        if link.get("rel") == "next":
            return str(link.get("href"))
    return str(page.get("next") or "")
