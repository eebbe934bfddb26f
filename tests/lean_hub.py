"""JupyterHub as it is, for the hubs that tests start: `python -m tests.lean_hub [what jupyterhub takes]`.

Half the CPU time of importing it goes into `rfc3987_syntax`, which builds a grammar when imported. It is
an optional dependency of jsonschema, for the formats `iri` and `iri-reference` alone: no schema of the hub's
or of ours has them, and jsonschema is written to do without it. Tests start a hub more than a hundred times.
"""

import sys

#: None makes `import` raise ImportError, as where it is not installed.
sys.modules["rfc3987_syntax"] = None

if __name__ == "__main__":
    from jupyterhub.app import main

    main()
