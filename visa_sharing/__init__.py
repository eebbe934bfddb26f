"""The hub's side of sharing: who is let in, as what, by whom, how long; support; the audit log."""
