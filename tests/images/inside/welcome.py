"""Run a copy of the welcome notebook from top to bottom with the image's own kernel.

What its cells showed goes to ./shown.json by cell: `{"text": ..., "pictures": N}`; pictures to ./CELL-N.png.
"""

import base64
import json
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from visa_session.welcome import TEMPLATE, copy_welcome

copy = copy_welcome(TEMPLATE, Path.cwd(), "alice")
notebook = nbformat.read(copy, as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, kernel_name=notebook.metadata.kernelspec.name, timeout=120).execute()
shown = {}
for cell in notebook.cells:
    texts, pictures = [], []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts.append(output.get("text") or data.get("text/html") or data.get("text/plain", ""))
        pictures += [data["image/png"]] if "image/png" in data else []
    for number, picture in enumerate(pictures):
        Path(f"{cell.id}-{number}.png").write_bytes(base64.b64decode(picture))
    shown[cell.id] = {"text": "\n".join(texts), "pictures": len(pictures)}
Path("shown.json").write_text(json.dumps(shown))
