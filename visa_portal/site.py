"""What one running portal consists of: its settings and the parts that the pages use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tornado.httputil import HTTPServerRequest

from visa_catalogue import Catalogue
from visa_catalogue.account import Account, Role

from . import words, words_history, words_sharing, words_staff
from .assets import Assets
from .codes import Codes
from .contacts import Contacts
from .hub import HubClient
from .hub_passports import PassportCalls
from .hub_sharing import SharingCalls
from .models import Session
from .rooms import Rooms
from .starts import Starts

TEMPLATES = Path(__file__).parent / "templates"


@dataclass
class Site:
    """The portal, as the pages see it.

    `prefix` is the portal's path, `public_url` its full address or empty; `hub_url` the hub's address as
    browsers see it, full or a path; both end in a slash. `support` says whom to ask, in words.
    """

    facility: str
    logo: str
    support: str
    prefix: str
    public_url: str
    hub_url: str
    hub: HubClient
    catalogue: Catalogue
    assets: Assets
    starts: Starts
    page_size: int = 50

    def __post_init__(self) -> None:
        self.sharing = SharingCalls(self.hub)
        self.passports = PassportCalls(self.hub)
        self.codes = Codes()
        self.rooms = Rooms(self.hub)
        self.contacts = Contacts(self.catalogue)
        self.templates = environment(self)

    def asset(self, name: str) -> str:
        """Where a style, script or icon is served."""
        return self.prefix + self.assets.path(name)

    def open_url(self, session: Session, interface: str = "") -> str:
        """Where a session's desktop or JupyterLab stands; its own choice where none is named."""
        return self.open_at(session.url, interface or session.interface)

    def open_at(self, url: str, interface: str) -> str:
        """Where the desktop or JupyterLab stands below a session's address as the hub tells it.

        Raises ValueError for an address that is not one of the web.
        """
        base = urljoin(self.hub_url, url)
        if urlsplit(base).scheme not in ("", "http", "https"):
            raise ValueError(f"not an address of a session: {url!r}")
        base = base if base.endswith("/") else base + "/"
        return base + ("desktop/" if interface == "desktop" else "lab")

    def public(self, request: HTTPServerRequest) -> str:
        """The portal's full address, as the browser that asked sees it."""
        return self.public_url or f"{request.protocol}://{request.host}{self.prefix}"


#: Facility roles whose accounts are shown the way to Support; the hub says whom they may help.
STAFF = frozenset({Role.INSTRUMENT_SCIENTIST, Role.HELPDESK, Role.ADMINISTRATOR})


def helps(account: Account) -> bool:
    """Whether somebody is shown the way to Support."""
    return bool(account.roles & STAFF)


def administers(account: Account) -> bool:
    """Whether somebody is shown the way to Admin."""
    return Role.ADMINISTRATOR in account.roles


def environment(site: Site) -> Environment:
    """The templates: everything escaped, an unknown name an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        bdi=words.foreign,
        moment=words.moment,
        hours=words.hours,
        plain=words.number,
        hardware=words.hardware,
        room=words.room,
        standing=words.standing,
        ending=words.ending,
        left=words.left,
        some=words.some,
        way=words_sharing.way,
        watching=words_sharing.watching,
        asks=words_sharing.asks,
        people=words_sharing.people,
        sentence=words_history.sentence,
        quoted=words_history.quoted,
        lower_first=words.lower_first,
        paragraphs=words.paragraphs,
        helps=helps,
        administers=administers,
        size=words.size,
        place=words_staff.place,
        spare=words_staff.spare,
        groups=words_staff.groups,
    )
    made.globals.update(
        asset=site.asset, open_url=site.open_url, open_at=site.open_at, dates=words.dates, states=words.STATES
    )
    # Compiled now, so that the first visitor does not wait and a broken template stops the portal at once.
    for name in made.list_templates():
        made.get_template(name)
    return made
