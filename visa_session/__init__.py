"""What runs inside a session: the desktop, the gate, the landing page."""
