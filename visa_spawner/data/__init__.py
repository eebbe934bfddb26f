"""The directories a session gets, and data that come and go while it runs."""
