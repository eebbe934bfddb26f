"""The calls that join the hub's REST API; docs/developers/sharing.md lists them."""
