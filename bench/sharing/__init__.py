"""The figures of sharing: how soon a membership begins and ends, and what a desktop's viewers cost."""
