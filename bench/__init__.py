"""This project beside stock parts: how long things take, what they weigh. `python -m bench`."""
