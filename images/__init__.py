"""The software of a session: one recipe a directory, built by `python -m images.build NAME`."""
