"""The portal's process: `visa-portal`, a JupyterHub service that serves the pages people see."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.web import Application as Pages
from traitlets import Dict, Integer, List, Unicode, default, validate
from traitlets.config import Application, catch_config_error

from visa_catalogue import Catalogue, CatalogueError, open_catalogue
from visa_logs import settings as logs

from . import accesslog, security
from .assets import AssetHandler, Assets
from .auth import PortalAuth, make_auth
from .handlers import (
    admin,
    announcements,
    asking,
    audit,
    data,
    datasets,
    extending,
    history,
    join,
    misc,
    new,
    nodes,
    notices,
    passport,
    pulse,
    sessions,
    shared,
    sharing,
    starting,
    support,
)
from .hub import HubClient
from .site import Site
from .starts import Starts

#: The modules whose `ROUTES` are served: pairs of an address below the prefix, and its handler.
#: Bytes that a request may have: a passport is the largest thing that somebody brings.
MAX_BODY = 1 << 20

PAGES = (
    *(misc, pulse, sessions, starting, new, notices, sharing, shared, join, asking, history, extending, data),
    *(datasets, passport, support, admin, nodes, announcements, audit),
)


def _from(variable: str, otherwise: str = ""):
    return os.environ.get(variable) or otherwise


class Portal(Application):
    """Pages for sessions: my sessions, new session, starting."""

    name = "visa-portal"
    description = "The pages people see, as a JupyterHub service."
    flags = Dict({"debug": ({"Portal": {"log_level": logging.DEBUG}}, "log more")})
    aliases = Dict(
        {
            "config": "Portal.config_file",
            "port": "Portal.port",
            "catalogue": "Portal.catalogue",
            "ip": "Portal.ip",
        }
    )
    classes = List([PortalAuth])

    config_file = Unicode(help="A Python file with settings (`c.Portal...`). None is read by default.").tag(
        config=True
    )
    ip = Unicode(
        help="Address to listen on. Anything but the loopback opens the portal to the network around the "
        "proxy, where the client's address and protocol can be made up."
    ).tag(config=True)
    port = Integer(help="Port to listen on; the hub's service definition names the same one.").tag(
        config=True
    )
    catalogue = Unicode(
        help="Where experiments come from, as in `file:///path/experiments.jsonl`. The spawner must be given "
        "the same, or people are shown what they cannot start."
    ).tag(config=True)
    facility = Unicode(help="The facility's name, in titles and on the login page.").tag(config=True)
    logo = Unicode(help="A few letters at the top of every page, in place of a logo.").tag(config=True)
    support = Unicode(help="Whom to ask, shown below error pages: an e-mail address or a sentence.").tag(
        config=True
    )
    public_url = Unicode(
        help="The portal's own address as browsers see it, ending in its service prefix. Needed where the "
        "hub uses subdomains, which give every service a host of its own; otherwise the host a browser "
        "asks for is taken."
    ).tag(config=True)
    hub_url = Unicode(
        help="The hub's address as browsers see it, as `https://HOST/hub/`. Only its path is needed where "
        "portal and hub share a host."
    ).tag(config=True)
    prefix = Unicode(help="The path the proxy sends here.").tag(config=True)
    service_name = Unicode(help="The service's name at the hub.").tag(config=True)
    identity_seconds = Integer(
        30,
        help="How long the hub's word on who somebody is, and in which teams, is believed without asking "
        "again. Longer costs the hub less; shorter shows a new team sooner. It decides nothing but what is "
        "shown.",
    ).tag(config=True)
    page_size = Integer(50, help="Experiments in one page of the list. More is slower for everybody.").tag(
        config=True
    )

    def get_default_logging_config(self) -> dict:
        """traitlets', with records in the journal where systemd runs it; the same for all modules here."""
        return logs.of_program(super().get_default_logging_config(), self.log_level)

    @default("log_level")
    def _log_level(self) -> int:
        return logging.INFO

    @default("ip")
    def _ip(self) -> str:
        return urlsplit(_from("JUPYTERHUB_SERVICE_URL")).hostname or "127.0.0.1"

    @default("port")
    def _port(self) -> int:
        return urlsplit(_from("JUPYTERHUB_SERVICE_URL")).port or 8090

    @default("catalogue")
    def _catalogue(self) -> str:
        return _from("VISA_CATALOGUE")

    @default("facility")
    def _facility(self) -> str:
        return _from("VISA_FACILITY", "VISA")

    @default("logo")
    def _logo(self) -> str:
        return _from("VISA_FACILITY_LOGO", self.facility)

    @default("support")
    def _support(self) -> str:
        return _from("VISA_SUPPORT")

    @default("public_url")
    def _public_url(self) -> str:
        return _from("JUPYTERHUB_PUBLIC_URL")

    @default("hub_url")
    def _hub_url(self) -> str:
        base = _from("JUPYTERHUB_BASE_URL", "/")
        return _from("JUPYTERHUB_PUBLIC_HUB_URL", f"{base.rstrip('/')}/hub/")

    @default("prefix")
    def _prefix(self) -> str:
        return urlsplit(self.public_url).path or _from("JUPYTERHUB_SERVICE_PREFIX", "/services/visa/")

    @default("service_name")
    def _service_name(self) -> str:
        return _from("JUPYTERHUB_SERVICE_NAME", "visa")

    @validate("public_url", "hub_url", "prefix")
    def _ends_in_slash(self, proposal) -> str:
        value = proposal.value
        return value if not value or value.endswith("/") else value + "/"

    @catch_config_error
    def initialize(self, argv=None) -> None:
        self.parse_command_line(argv)
        if self.config_file:
            # What the command line says counts for more than the file.
            said = self.cli_config
            self.load_config_file(self.config_file)
            self.update_config(said)
        if not self.catalogue:
            self.exit_with("set VISA_CATALOGUE, or c.Portal.catalogue, to where experiments come from")
        if not _from("JUPYTERHUB_API_TOKEN") and "api_token" not in self.config.PortalAuth:
            self.exit_with("set JUPYTERHUB_API_TOKEN to the service's api_token")

    def exit_with(self, words: str) -> None:
        """End with a message and not with a traceback."""
        self.log.critical(words)
        self.exit(2)

    def open(self) -> Catalogue:
        """The catalogue; ends the process with a message where it cannot be read."""
        try:
            return open_catalogue(self.catalogue)
        except (CatalogueError, ValueError) as error:
            self.exit_with(str(error))
            raise

    def pages(self, site: Site, auth: PortalAuth) -> Pages:
        """The addresses and what serves them."""
        at, parts = site.prefix, {"site": site}
        return Pages(
            [
                (f"{at}static/([0-9a-f]+)/(.+)", AssetHandler, {"assets": site.assets}),
                *((at + path, handler, parts) for page in PAGES for path, handler in page.ROUTES),
            ],
            default_handler_class=misc.NothingHandler,
            default_handler_args=parts,
            cookie_secret=security.cookie_secret(auth.api_token),
            xsrf_cookies=True,
            xsrf_cookie_kwargs={"samesite": "Lax", "httponly": True},
            log_function=accesslog.log_request,
            login_url=auth.login_url,
        )

    def start(self) -> None:
        logs.begin(os.environ, self.config)
        self.log.debug("logs are set up")  # at its first use
        # HubOAuth writes people's hub session ids there, with every new form's secret.
        logging.getLogger("tornado.application").setLevel(logging.WARNING)
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """Serve until told to stop by SIGTERM or SIGINT."""
        auth = make_auth(
            self,
            prefix=self.prefix,
            public_url=self.public_url,
            hub_url=self.hub_url,
            service_name=self.service_name,
            seconds=self.identity_seconds,
        )
        hub = HubClient(auth.api_url)
        site = Site(
            facility=self.facility,
            logo=self.logo,
            support=self.support,
            prefix=self.prefix,
            public_url=self.public_url,
            hub_url=self.hub_url,
            hub=hub,
            catalogue=self.open(),
            assets=Assets(),
            starts=Starts(hub),
            page_size=self.page_size,
        )
        # The proxy stands in front: its word on the browser's address and protocol counts, nobody else's.
        server = HTTPServer(self.pages(site, auth), xheaders=True, max_body_size=MAX_BODY)
        server.listen(self.port, self.ip)
        self.log.info("serving %s on %s:%d", self.prefix, self.ip, self.port)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        server.stop()
        await site.starts.close()
        await server.close_all_connections()
        await hub.close()


def main() -> None:
    """Run the portal."""
    Portal.launch_instance()


if __name__ == "__main__":
    main()
