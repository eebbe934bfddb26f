"""People by name, as far as the hub has them at hand.

Most calls begin with a name. The stock hub asks its database for it, and, since it asks, for the person's
roles, groups and shares again: six questions, whose answers it has and throws away.
"""

from __future__ import annotations

from functools import wraps
from weakref import WeakValueDictionary

from jupyterhub import orm
from sqlalchemy import inspect
from sqlalchemy.orm import Session

#: What the hub has found; rows that nothing else holds go by themselves.
_found: WeakValueDictionary[str, orm.User] = WeakValueDictionary()


def _at_hand(db: Session, name: str) -> orm.User | None:
    """Somebody who is in this database session under this name; None where that is not sure."""
    row = _found.get(name)
    if row is None:
        return None
    state = inspect(row)
    # Gone, going, of another session, or not known to be as it was: the database has the word.
    if state.session is not db or not state.persistent or state.expired_attributes or row in db.deleted:
        return None
    return row if row.name == name else None


def join_hub() -> None:
    """Have the hub look here first; harmless when done already."""
    stock = orm.User.find.__func__
    if getattr(stock, "visa", False):
        return

    @wraps(stock)
    def find(cls, db, name):
        row = _at_hand(db, name)
        if row is None:
            row = stock(cls, db, name)
            if row is not None:
                _found[row.name] = row
        return row

    find.visa = True
    orm.User.find = classmethod(find)
