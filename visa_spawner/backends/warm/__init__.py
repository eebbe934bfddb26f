"""Containers that wait for their session: made beforehand, handed to one person once, never used again."""
