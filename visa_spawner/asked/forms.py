"""The hub's own spawn page: where it sends people, and what its plain form sends back.

`GET /hub/spawn?opt-...` would start a server for whoever follows a link, without a token against forgery
(JupyterHub takes the query for a form). So a GET never starts anything here: it goes to the portal's page,
filled in, or shows the form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from tornado import web

from ..profiles.model import Profile
from .request import SessionRequest

_LISTS = ("experiments", "datasets")
_MAX_VALUE = 200


def options_from_form(form: Mapping[str, list]) -> dict:
    """A form's fields as `user_options`; nothing is dropped that a refusal should name."""
    options: dict = {}
    for name, values in form.items():
        if name == "_xsrf":
            continue
        given = [value for value in values if value != ""]
        if name in _LISTS or len(given) > 1:
            options[name] = given
        elif given:
            options[name] = _hours(given[0]) if name == "lifetime_hours" else given[0]
    return options


def _hours(text: object) -> object:
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def prefilled(portal_url: str, arguments: Mapping[str, Iterable[bytes]], name: str) -> str:
    """The portal's page for a new session with the address's options filled in, whatever they are worth."""
    known = [("name", name)] if name else []
    for field in SessionRequest.model_fields:
        for value in (*arguments.get(f"opt-{field}", ()), *arguments.get(field, ())):
            known.append((field, value.decode("utf-8", "replace")[:_MAX_VALUE]))
    return f"{portal_url.rstrip('/')}/new" + (f"?{urlencode(known)}" if known else "")


def redirect_get(handler: web.RequestHandler, portal_url: str, name: str) -> None:
    """Send a GET of the spawn page to the portal; raises web.Finish once it has."""
    handler.redirect(prefilled(portal_url, handler.request.query_arguments, name))
    raise web.Finish


def plain_form(profiles: Iterable[Profile], roles: Iterable[str]) -> str:
    """A form without script for hubs without a portal."""
    roles = set(roles)
    choices = "".join(
        f'<option value="{escape(profile.name)}">{escape(profile.title)}: '
        f"{escape(', '.join(profile.plans))}</option>"
        for profile in profiles
        if profile.allows(roles)
    )
    return f"""
<label>Experiment <input name="experiments" maxlength="64" autocomplete="off"></label><br>
<label>Profile <select name="profile" required>{choices}</select></label><br>
<label>Plan <input name="plan" required maxlength="63" autocomplete="off"></label><br>
<label>Interface <select name="interface"><option>lab</option><option>desktop</option></select></label><br>
<label>Screen <input name="screen" value="1920x1080"></label><br>
<label>Keyboard <input name="keyboard" value="us"></label><br>
<label>Hours <input name="lifetime_hours" type="number" min="0.5" step="0.5"></label>
"""
