"""JupyterHub's single-user server, set up for a session.

`SessionApp` is JupyterHub's extension with our configuration above everything else, `SessionServer` the
Jupyter server under it, listening on the socket that was bound at the very start.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import secrets
import socket as sockets
import warnings
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import jupyter_server_proxy
import jupyter_server_proxy.config
import jupyterlab.labapp
import jupyterlab_server.config
from jupyter_core.paths import jupyter_path, jupyter_runtime_dir
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from jupyterhub.singleuser._disable_user_config import _disable_user_config
from jupyterhub.singleuser.extension import JupyterHubSingleUser, _fatal_errors
from traitlets import default
from traitlets.config import Config

from . import afresh, cluster, collaboration, extension, later, welcome
from .contract import AUTHORITY_VARIABLE, PASSPORT
from .desktop import Desktop
from .files import SessionFiles
from .gate import SessionAuthorizer, check_targets
from .identity import SessionAuth, SessionIdentity
from .kernels import SessionKernels
from .live import LiveInfo
from .pages import owners_page, portal_address
from .places import top_directories, writable_directory
from .proxied import guard_programs
from .ready import Refused, post_ready
from .schemas import LAB_EXTENSIONS, check_beforehand
from .stream.process import StreamProcess

if TYPE_CHECKING:
    from .encryption import Encryption

#: Server extensions that a session does not load, and why.
LEFT_OUT = {
    "jupyter_remote_desktop_proxy": "its page, and its VNC server that asks nobody, are replaced by ours",
    "notebook_shim": "settings of the classic notebook, which is not there",
    "nbclassic": "the classic notebook",
    "jupyter_server_ydoc": "`collaboration.py` loads it, with rooms that no page of another origin opens",
}
#: Extensions that need a program to be of use: left out where none of these commands is installed.
ONLY_WITH = {"jupyter_lsp": ("pylsp", "jedi-language-server", "basedpyright", "pyright")}
#: JupyterLab's own plugin that asks for news, and those that ask an extension of `ONLY_WITH`: without the
#: extension each page would begin with a request that fails.
NEWS_PLUGIN = "@jupyterlab/apputils-extension:announcements"
PLUGINS_OF = {
    "jupyter_lsp": (
        "@jupyterlab/lsp-extension:plugin",
        "@jupyterlab/lsp-extension:settings",
        "@jupyterlab/lsp-extension:tracker",
        "@jupyterlab/fileeditor-extension:language-server",
        "@jupyterlab/notebook-extension:language-server",
    )
}
#: Loaded once the server listens: slow to import, and asked for only when a person opens such a file. With
#: what to import beside the event loop first, since its own loading would import it in there.
LATER = {"jupyterlab_h5web": "jupyterlab_h5web.handlers", cluster.PANEL: cluster.PANEL}
#: Entries of jupyter-server-proxy that an installed package would add and that are replaced by ours.
PROXIES_LEFT_OUT = {"desktop", "desktop-websockify", "selkies"}


def without_program() -> list[str]:
    """The extensions of `ONLY_WITH` that have none of their commands here."""
    return [name for name, commands in ONLY_WITH.items() if not any(map(which, commands))]


def extensions_chosen() -> dict[str, bool]:
    """What to tell Jupyter of the extensions that are not to be loaded with the others, and of ours."""
    off = dict.fromkeys([*LEFT_OUT, *LATER, *without_program()], False)
    return off | {collaboration.__name__: True, "jupyter_server_fileid": True}


@cache
def proxies_installed(group: str) -> tuple[EntryPoint, ...]:
    """The entries of jupyter-server-proxy that the image's packages have, but for those left out.

    Found once: it reads what every package of the image says of itself.
    """
    return tuple(entry for entry in entry_points(group=group) if entry.name not in PROXIES_LEFT_OUT)


def leave_out_proxies() -> None:
    """Drop the entries of jupyter-server-proxy that lead round the desktop's gate and passwords."""
    # Before they are imported, which takes time; and after, should a new version find them in another way.
    jupyter_server_proxy.config.entry_points = proxies_installed
    entries = jupyter_server_proxy.get_entrypoint_server_processes

    def without_ours():
        return [process for process in entries() if process.name not in PROXIES_LEFT_OUT]

    jupyter_server_proxy.get_entrypoint_server_processes = without_ours
    # Not news: our tile has no command, since our own handlers serve its page; and handlers that protect
    # themselves are not relied upon, since the gate stands before all of them.
    warnings.filterwarnings("ignore", category=JupyterServerAuthWarning)
    warnings.filterwarnings("ignore", message="Server proxy visa-desktop does not have")


def leave_out_own_page_settings() -> None:
    """Read what JupyterLab's page is made of from the image alone.

    Such a file says, among others, from where the page's scripts come and where its kernels are asked.
    """
    of_level = jupyterlab_server.config.get_static_page_config
    of_image = partial(of_level, level="sys_prefix", include_higher_levels=True)
    jupyterlab_server.config.get_static_page_config = lambda *args, **others: of_image()
    # Under the name that it was imported by, too: read once more while the server starts.
    jupyterlab.labapp.get_static_page_config = jupyterlab_server.config.get_static_page_config


def page_settings(hook, portal: str, name: str, workspaces: str):
    """Tell JupyterLab's page where the portal is, and turn off what would fail or hand out links.

    News it asks each newcomer about even where that is turned off.
    """
    off = [
        NEWS_PLUGIN,
        *([] if cluster.reached() else [cluster.PANEL_PLUGIN]),
        *collaboration.LINK_PLUGINS,
        *(plugin for name in without_program() for plugin in PLUGINS_OF[name]),
    ]

    def changed(handler, page_config):
        page_config = hook(handler, page_config)
        later.put_off(handler, page_config, workspaces)
        page_config.setdefault("disabledExtensions", []).extend(off)
        page_config["visaPortal"] = portal
        page_config["visaCluster"] = cluster.reached()
        page_config["visaPassport"] = os.path.exists(PASSPORT)
        page_config["visaWelcome"] = welcome.is_there()
        page_config["visaSharing"] = owners_page(portal, name, "sharing")
        page_config["visaExtend"] = owners_page(portal, name, "extend")
        page_config["visaData"] = owners_page(portal, name, "data")
        return page_config

    return changed


class SessionServer(ServerApp):
    """A Jupyter server that listens on a socket it is given."""

    bound: sockets.socket
    #: Set where it serves TLS: it then answers nobody before it has a certificate.
    encryption: Encryption | None = None
    #: Where kernels are found.
    kernels: list[str]
    no_browser_open_file = True

    def _find_http_port(self) -> None:
        self.port = self.bound.getsockname()[1]

    def _bind_http_server_tcp(self) -> bool:
        self.bound.listen(128)
        if self.encryption is None:
            self.http_server.add_socket(self.bound)
        return True

    def begin_tls(self, certificate: str) -> None:
        """Answer those who came meanwhile, and all others; raises ValueError where it is not ours."""
        self.http_server.ssl_options = self.encryption.serving(certificate)
        self.http_server.add_socket(self.bound)

    def migrate_config(self) -> None:
        """Nothing is taken over from IPython 3, whose folder each kernel makes anew in the home directory."""

    def write_server_info_file(self) -> None:
        """Not written: it holds the session's token, and nothing here reads it."""

    def remove_server_info_file(self) -> None:
        """Nothing to remove."""


class SessionApp(JupyterHubSingleUser):
    """JupyterHub's single-user extension, as a session needs it."""

    serverapp_class = SessionServer
    info: LiveInfo
    desktop: Desktop
    token: str

    @default("hub_auth")
    def _default_hub_auth(self):
        """The one that the identity provider asks too; it alone holds the session's token."""
        return SessionAuth(parent=self, api_token=self.token, **afresh.of_the_hub(os.environ))

    async def keep_activity_updated(self):
        """As the stock server's; nothing asks the hub before this does, so whom to trust is set here."""
        if self.serverapp.encryption is not None:
            self.serverapp.encryption.trust_hub()
        await super().keep_activity_updated()

    async def notify_activity(self):
        """Nothing where nothing has happened since the last word, which the stock server would repeat."""
        if self.serverapp.web_app.last_activity() == self._last_activity_sent is not None:
            return
        await super().notify_activity()

    async def check_hub_version(self):
        """Done with the answer to `visa/ready`, so that a hub that restarts delays or ends nothing."""

    def get_default_url(self):
        """The page a session opens with."""
        return "/desktop/" if self.info.interface == "desktop" else "/lab"

    @classmethod
    def get_extension_package(cls):
        """Where Jupyter's extension manager finds `_jupyter_server_extension_points`: this module."""
        return __name__

    @classmethod
    def make_serverapp(cls, jpserver_extensions, **kwargs):
        """Leave the extensions out that a session has no use for."""
        # Read by them before our `load_config_file`; a site's own configuration may say otherwise.
        # JupyterLab asks nobody outside of the facility for news, updates or extensions.
        quiet = {"news_url": None, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate"}
        ours = {"extension_manager": "readonly", "extra_labextensions_path": [str(LAB_EXTENSIONS)]}
        config = Config({"LabApp": quiet | ours})
        config.merge(afresh.of_the_person(os.environ))
        config.merge(collaboration.settings(Path(jupyter_runtime_dir())))
        # Kernels of the person's own run in processes of their own, and may come from the home directory.
        kernels = jupyter_path("kernels")
        # Templates are programs; the stock search begins with the working directory.
        config.TemplateExporter.extra_template_basedirs = []
        extensions = jpserver_extensions | extensions_chosen()
        serverapp = super().make_serverapp(jpserver_extensions=extensions, config=config, **kwargs)
        # Nothing in the home directory runs in this process, which holds the token and keeps the gate:
        # whoever worked here once could have left it. JupyterLab's settings, no programs, are still read.
        _disable_user_config(serverapp)
        serverapp.kernels = kernels
        return serverapp

    @_fatal_errors
    def load_config_file(self):
        """Put our settings above those of files, since the session's safety and speed rest on them."""
        super().load_config_file()
        home = os.environ["HOME"]
        config = self.serverapp.config
        SessionIdentity.auth = self.hub_auth
        config.ServerApp.identity_provider_class = SessionIdentity
        config.ServerApp.authorizer_class = SessionAuthorizer
        # Nobody takes another name, picture or colour here: who people are is the facility's word.
        config.IdentityProvider.updatable_fields = []
        config.ServerApp.allow_unauthenticated_access = False
        config.ServerApp.allow_origin = config.ServerApp.allow_origin_pat = ""
        config.ServerApp.disable_check_xsrf = False
        config.ServerApp.contents_manager_class = SessionFiles
        config.ServerApp.kernel_manager_class = SessionKernels
        # In memory alone: whoever works here could read it in a file, and sign cookies with it.
        config.ServerApp.cookie_secret = secrets.token_bytes(32)
        # Sockets in the private directory, no ports: where a machine's network is shared, as on a cluster's
        # nodes, anybody could read there what kernels print.
        config.KernelManager.transport = "ipc"
        config.ServerApp.root_dir = "/"
        config.SessionFiles.shown = top_directories(self.info, home)
        config.FileContentsManager.preferred_dir = writable_directory(self.info, home).strip("/")
        config.FileContentsManager.allow_hidden = False
        config.FileContentsManager.delete_to_trash = False
        config.ServerProxy.servers.update(extension.launcher_entries())
        self.serverapp.update_config(config)

    @_fatal_errors
    def initialize(self, args=None):
        """Add our pages, then put the gate before them and all others."""
        super().initialize()
        self.serverapp.kernel_spec_manager.kernel_dirs = self.serverapp.kernels
        settings = self.serverapp.web_app.settings
        hub_host = self.serverapp.identity_provider.hub_auth.hub_host
        portal = portal_address(self.info.portal_url, hub_host)
        settings["page_config_hook"] = page_settings(
            settings["page_config_hook"], portal, self.info.name, self.workspaces()
        )
        self.stream = StreamProcess(self.info, self.desktop)
        self.people = extension.load(self.serverapp, self.info, self.desktop, self.stream, self.hub_auth)
        SessionIdentity.full_name = self.people.members.full_name
        self.serverapp.contents_manager.info = self.info
        self.info.watch(self.show_data)

    def show_data(self):
        """Have the file browser and the desktop follow data that came or went."""
        self.serverapp.contents_manager.shown = top_directories(self.info, os.environ["HOME"])
        self.desktop.show_data()

    def workspaces(self) -> str:
        """The directory of JupyterLab's layouts."""
        (lab,) = self.serverapp.extension_manager.extension_apps["jupyterlab"]
        return lab.workspaces_dir

    async def _start_jupyter_server_extension(self, serverapp):
        """The server listens: say so to the hub, then load what could wait."""
        self.ready_task = asyncio.create_task(self.say_ready())
        self.later_task = asyncio.create_task(self.load_later())

    async def say_ready(self):
        """Tell the hub; end the session where the hub does not know it."""
        server, encryption = self.serverapp, self.serverapp.encryption
        try:
            if encryption is None:
                await post_ready(server.port, self.token)
            else:
                certificate = await post_ready(server.port, self.token, request=encryption.request())
                server.begin_tls(certificate)
        except (Refused, ValueError) as reason:
            self.log.critical("%s", reason)
            server.exit_code = 1
            server.stop()
        else:
            self.log.info("Ready on port %s", server.port)
            self.people.start()

    async def load_later(self):
        """Load the extensions in `LATER` that are installed, importing beside the event loop."""
        # An import keeps the interpreter busy also from a thread: the word to the hub goes first.
        await asyncio.wait([self.ready_task], timeout=2)
        await asyncio.to_thread(check_beforehand)
        manager = self.serverapp.extension_manager
        for name, slow in LATER.items():
            if importlib.util.find_spec(name) is None or (name == cluster.PANEL and not cluster.reached()):
                continue
            try:
                await asyncio.to_thread(importlib.import_module, slow)
                manager.add_extension(name, enabled=True)
                manager.link_extension(name)
                manager.load_extension(name)
                check_targets(self.serverapp.web_app)
            except Exception:
                self.log.exception("The extension %s could not be loaded", name)

    async def stop_extension(self):
        """Stop telling the hub, and end the desktop and its stream."""
        await super().stop_extension()
        for task in (self.ready_task, self.later_task):
            task.cancel()
        await self.people.stop()
        await self.stream.stop()
        await asyncio.to_thread(self.desktop.stop)


def _jupyter_server_extension_points():
    return [{"module": __name__, "app": SessionApp}]


def run(info: LiveInfo, socket: sockets.socket, desktop: Desktop, token: str) -> int:
    """Serve until told to stop; the exit code."""
    SessionApp.info, SessionApp.desktop, SessionServer.bound = info, desktop, socket
    SessionApp.token = token
    if authority := os.environ.get(AUTHORITY_VARIABLE):
        from .encryption import Encryption

        SessionServer.encryption = Encryption(authority)
    leave_out_proxies()
    guard_programs()
    leave_out_own_page_settings()
    SessionApp.launch_instance(argv=[])
    return getattr(ServerApp.instance(), "exit_code", 0)
