"""What is remembered of a session: for a hub that was killed, and for its owner years later."""
