"""Print, as JSON, the class and the pattern of every handler of a session's server."""

import json
import socket
import tempfile
from pathlib import Path

from visa_session.contract import SessionInfo
from visa_session.desktop import Desktop
from visa_session.gate import targets
from visa_session.lean import import_server
from visa_session.live import LiveInfo

info = LiveInfo(SessionInfo(owner="alice", name="x"))
desktop = Desktop(info, Path(tempfile.mkdtemp()))
import_server()

from tornado.routing import RuleRouter  # noqa: E402

from visa_session import singleuser  # noqa: E402

bound = socket.socket()
bound.bind(("127.0.0.1", 0))
singleuser.SessionApp.info, singleuser.SessionApp.desktop = info, desktop
singleuser.SessionServer.bound, singleuser.SessionApp.token = bound, "none"
singleuser.leave_out_proxies()
server = singleuser.SessionApp.initialize_server(argv=[])


def patterns(router):
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from patterns(rule.target)
        else:
            yield [f"{rule.target.__module__}.{rule.target.__name__}", rule.matcher.regex.pattern]


found = list(patterns(server.web_app.default_router))
assert len(found) == len(list(targets(server.web_app.default_router)))
print("\n" + json.dumps(found))
