"""From what was granted to a session that listens."""
