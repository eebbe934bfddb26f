"""TLS between proxy, hub and sessions: its authority, and what stands in the folder of it."""
