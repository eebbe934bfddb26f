"""How many sessions run: counted anew at each start by the stock hub, by going through all of them.

It needs the number for its limits. Where a site has set none, one of a few seconds ago serves the metric.
"""

from __future__ import annotations

import time
from functools import wraps

from jupyterhub.user import UserDict

#: Seconds that a count is good for where nothing depends on it.
FRESH = 5.0
_LIMITS = ("concurrent_spawn_limit", "active_server_limit")


def join_hub() -> None:
    """Have the hub count seldom where it may; harmless when done already."""
    stock = UserDict.count_active_users
    if getattr(stock, "visa", False):
        return

    @wraps(stock)
    def count_active_users(users):
        if any(users.settings.get(limit) for limit in _LIMITS):
            return stock(users)
        until, counts = getattr(users, "_visa_counted", (0.0, None))
        if time.monotonic() >= until:
            counts = stock(users)
            users._visa_counted = time.monotonic() + FRESH, counts
        return counts.copy()

    count_active_users.visa = True
    UserDict.count_active_users = count_active_users
