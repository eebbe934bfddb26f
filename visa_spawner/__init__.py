"""From a validated request to a running session."""
