"""A machine without a kernel of its own: it does what the machine's unit does, from its user data on.

    guest_program.py FOLDER      with the user data on standard input

A session waits behind a real door, and takes what it is handed as one does, up to where it would become the
person. Nothing is mounted. What it was handed and what it would have mounted go to `FOLDER/taken.json`.
"""

import json
import selectors
import sys
import threading
from pathlib import Path

from visa_session import claim, door, handover, machine


def wait(folder: Path, open_now: threading.Event) -> None:
    """Be the session that waits: one document is read and answered."""
    with selectors.DefaultSelector() as selector:
        at_door = door.Door(selector, path=door.PATH, machine=True)
        open_now.set()
        while at_door.handed is None:
            for key, _ in selector.select(at_door.patience):
                key.data()
            at_door.dismiss_late()
        at_door.close()
        document, peer = at_door.handed
        try:
            who = handover.read(document)
        except handover.Refused as refused:
            door.answer(peer, {"refused": str(refused)})
            return
        (folder / "session.json").write_text(
            json.dumps({"uid": who.uid, "gids": who.gids, "environment": dict(who.environment)})
        )
        door.answer(peer, {"taken": True})


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    claim.AGAIN = 0.5
    door.PATH = str(folder / "run" / "visa" / "handover")
    open_now = threading.Event()
    threading.Thread(target=wait, args=(folder, open_now), daemon=True).start()
    open_now.wait(10)
    ran = []
    try:
        answer = claim.run(
            claim.read(sys.stdin.buffer.read()),
            lambda given: machine.become(given, run=lambda *words: ran.append(words)),
        )
    except handover.Refused as refused:
        answer = {"refused": str(refused)}
    (folder / "answer.json").write_text(json.dumps({"answer": answer, "ran": ran}))
    return 0 if answer.get("taken") is True else 1


if __name__ == "__main__":
    sys.exit(main())
