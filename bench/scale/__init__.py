"""What one hub bears: thousands of sessions, and a population that behaves like people."""
