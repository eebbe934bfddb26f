"""One line a request, JSON or fields: who, what, how long. Never a query, a cookie or a token."""

from __future__ import annotations

import json
import logging

from tornado.web import RequestHandler

log = logging.getLogger("visa_portal.access")


def log_request(handler: RequestHandler) -> None:
    """Write the line; health checks, and assets that went well, are left out."""
    status = handler.get_status()
    path = handler.request.path
    if path.endswith("/health") or (status < 400 and "/static/" in path):
        return
    user = getattr(handler, "_current_user", None)
    line = {
        "method": handler.request.method,
        "path": path,
        "status": status,
        "ms": round(handler.request.request_time() * 1000, 1),
        "user": user["name"] if isinstance(user, dict) else None,
    }
    parts = getattr(handler, "timings", None)
    if parts:
        line["parts"] = {name: round(ms, 1) for name, ms in parts.items()}
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    log.log(level, json.dumps(line, ensure_ascii=True), extra={"journal": _fields(line)})


def _fields(line: dict) -> dict[str, object]:
    """The same for the journal: words to read, and fields to look for."""
    words = f"{line['status']} {line['method']} {line['path']} ({line['user'] or 'nobody'}) {line['ms']} ms"
    parts = line.get("parts")
    if parts:
        words += " (" + ", ".join(f"{name} {ms}" for name, ms in parts.items()) + ")"
    fields = {f"VISA_{name.upper()}": line[name] for name in ("method", "path", "status", "ms")}
    if line["user"]:
        fields["VISA_USER"] = line["user"]
    return fields | {"MESSAGE": words}
