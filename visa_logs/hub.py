"""Has the hub log so, by JupyterHub's own settings: `logging_config`, and what writes a line a request."""

from __future__ import annotations

import logging
import os

from jupyterhub import log as hubs
from jupyterhub.app import JupyterHub
from tornado.log import access_log
from tornado.web import HTTPError, RequestHandler
from traitlets.config import Config
from traitlets.utils.nested_update import nested_update

from . import settings


class HubLine(settings.Hides, hubs.CoroutineLogFormatter):
    """The hub's own lines, without secrets."""


def prepare(config: Config) -> None:
    """Set the hub's logging; a site's own `logging_config` and `log_function` count for more.

    To be called in jupyterhub_config.py after all of `c.JupyterHub` is set, and before what may find a
    mistake there: that is to be a record already.
    """
    if settings.in_journal():
        wanted = settings.journal_settings()
    else:
        wanted = settings.text_settings(f"{__name__}.{HubLine.__name__}")
    for section in (config.Application, config.JupyterHub):
        theirs = section.get("logging_config")
        if isinstance(theirs, dict):
            nested_update(wanted, theirs)
    config.JupyterHub.logging_config = wanted
    more = config.JupyterHub.tornado_settings
    if isinstance(more, dict):
        more.setdefault("log_function", log_request)
    else:  # what a file has added to it, which only the hub puts together
        more.update({"log_function": log_request})
    if JupyterHub.initialized():
        settings.begin(os.environ, config)
        JupyterHub.instance().logging_config = wanted


class _Access(logging.Filter):
    """Gives the line of a request its fields."""

    handler: RequestHandler | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self.handler is not None:
            record.journal = fields(self.handler)
        return True


_access = _Access()


def log_request(handler: RequestHandler) -> None:
    """JupyterHub's own line, with fields in the journal."""
    access_log.addFilter(_access)  # nothing is done when it is there
    _access.handler = handler
    try:
        hubs.log_request(handler)
    finally:
        _access.handler = None


def fields(handler: RequestHandler) -> dict[str, object]:
    """What the journal is told of a request; of its address never what stands behind `?`."""
    try:
        user = handler.current_user
    except (HTTPError, RuntimeError):  # it was broken off before anybody was looked for
        user = None
    name = user if isinstance(user, str) else user["name"] if isinstance(user, dict) else user and user.name
    known = {
        "LOGGER": "tornado.access",
        "VISA_METHOD": handler.request.method,
        "VISA_PATH": handler.request.path,
        "VISA_STATUS": handler.get_status(),
        "VISA_MS": round(handler.request.request_time() * 1000, 1),
    }
    return known | {"VISA_USER": name} if name else known
