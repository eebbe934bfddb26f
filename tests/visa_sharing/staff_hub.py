"""The sharing hub with more staff, and on a database of one's choice."""

import json

import sharing_hub
import yaml
from sharing_hub import SharingHub

#: Beside heidi of the helpdesk, ivan of the instrument and adam the administrator.
MORE = {
    "hanna": {"uid": 20010, "gid": 20010, "roles": ["helpdesk"], "name": "Hanna H"},
    "lena": {"uid": 20011, "gid": 20011, "roles": ["scientist"], "name": "Lena L"},
    # Lists an instrument, and is no instrument scientist.
    "nils": {"uid": 20012, "gid": 20012, "roles": ["scientist"], "instruments": ["id19"], "name": "Nils N"},
    "iris": {
        "uid": 20013,
        "gid": 20013,
        "roles": ["instrument-scientist"],
        "instruments": ["bm18"],
        "name": "Iris I",
    },
}


class StaffHub(SharingHub):
    config = SharingHub.config + 'c.JupyterHub.db_url = SETTINGS["db_url"] or c.JupyterHub.db_url\n'
    accounts = sharing_hub.ACCOUNTS | MORE
    db_url = ""

    def settings(self):
        return super().settings() | {"db_url": self.db_url}

    def start(self):
        file = self.root / "experiments.yaml"
        experiments = yaml.safe_load(file.read_text())
        for experiment in experiments:
            experiment["local_contacts"] = ["lena"] if experiment["id"] == "B-2" else []
        file.write_text(yaml.safe_dump(experiments))
        return super().start()

    # Support -----------------------------------------------------------------------------------------
    def ask(self, who, role="collaborator", session="alice/tooth", **more):
        body = {"role": role, "message": "May I?"} | more
        return self.api("POST", f"visa/support/{session}/ask", who, json=body)

    def asked(self, who, role="collaborator", session="alice/tooth"):
        answer = self.ask(who, role, session)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def answer(self, number, said, session="alice/tooth", who="alice"):
        body = {"request": number, "answer": said}
        return self.api("POST", f"visa/sharing/{session}/answers", who, json=body)

    def second(self, who, number, session="alice/tooth"):
        return self.api("POST", f"visa/support/{session}/second", who, json={"request": number})

    def supported(self, who, **query):
        answer = self.api("GET", "visa/support", who, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def seen_by(self, who, **query):
        return {f"{one['owner']}/{one['name']}" for one in self.supported(who, **query)["sessions"]}

    def audit(self, **query):
        """Lines of the log as administrators get them, oldest first."""
        events = self.api("GET", "visa/audit", "adam", params={"limit": 1000} | query).json()["events"]
        return events[::-1]

    def last(self, what):
        """The last line of a kind, without its number and time."""
        found = self.audit(what=what)[-1]
        return {key: value for key, value in found.items() if key not in ("id", "at", "what")}


def message(answer):
    return json.loads(answer.text)["message"]
