"""The pages people see: a JupyterHub service."""
