"""What a browser keeps of a site, for those tests that have none."""

from __future__ import annotations

import httpx


class Cookies:
    """Kept and sent as browsers do on localhost, where secure ones travel over plain HTTP too."""

    def __init__(self):
        self.kept: dict[tuple[str, str, str], str] = {}

    def send(self, request: httpx.Request) -> None:
        url = request.url
        found = [f"{n}={v}" for (h, p, n), v in self.kept.items() if h == url.host and url.path.startswith(p)]
        request.headers.pop("Cookie", None)
        if found:
            request.headers["Cookie"] = "; ".join(found)

    def keep(self, response: httpx.Response) -> None:
        for line in response.headers.get_list("Set-Cookie"):
            first, *rest = [part.strip() for part in line.split(";")]
            name, _, value = first.partition("=")
            about = {part.partition("=")[0].lower(): part.partition("=")[2] for part in rest}
            key = (response.url.host, about.get("path", "/"), name)
            gone = about.get("max-age") == "0" or value in ("", '""')
            self.kept.pop(key, None) if gone else self.kept.update({key: value})
