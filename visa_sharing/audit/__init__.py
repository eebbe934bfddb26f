"""The audit log: who let whom in, who came and went, who asked and answered."""
