"""The portal's pages, one module a page; each lists its addresses below the prefix as `ROUTES`."""

#: One's own session's name in an address.
NAME = r"([a-z][a-z0-9-]{0,29})"
