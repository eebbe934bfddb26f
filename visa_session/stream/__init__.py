"""A second stream of the desktop beside VNC's: its picture alone, as H.264, for thin lines.

Keyboard, mouse, clipboard and the screen's size stay with VNC, and with them the roles: here everybody
watches.
"""
