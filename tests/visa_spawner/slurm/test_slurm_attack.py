"""What batchspawner's own call let a session do to its hub does nothing, and is refused."""

import pytest
from slurm_hub import LIGHT

ATTACKS = [
    {"exec_prefix": "touch {proof};"},
    {"batch_submit_cmd": "touch {proof}"},
    {"batch_query_cmd": "touch {proof};"},
    {"batch_cancel_cmd": "touch {proof};"},
    {"cmd": ["touch", "{proof}"]},
    {"launcher": ["/usr/bin/touch", "{proof}"]},
    {"commands_dir": "{proof}"},
    {"job_id": "1"},
    {"mark": "visa:other:00000000000000000000000000000000"},
    {"person": {"username": "root", "uid": 0, "gid": 0, "home": "/root"}},
    {"port": 80, "ip": "127.0.0.1"},
    {"port": 80, "exec_prefix": "touch {proof};"},
    {"port": "80"},
    {"port": True},
    {"port": 0},
    {"port": 65536},
    {"port": None},
    {},
    [],
    "port",
    [["port", 80]],
]


@pytest.fixture
def session(slurm_hub):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    return hub.until(lambda: hub.ask("tooth"), 20, "it answers")


def test_a_session_cannot_set_anything_of_its_spawner(slurm_hub, session, tmp_path):
    hub, proof = slurm_hub, tmp_path / "proof"
    tmp_path.chmod(0o777)
    before, job = hub.session("tooth"), hub.job()
    for attack in ATTACKS:
        body = _with(attack, str(proof))
        answer = hub.api("POST", "batchspawner", session["token"], json=body)
        assert answer.status_code == 400, (attack, answer.text)
        assert "port" in answer.json()["message"]
    # The hub looks at its sessions many times a second here; then it ends this one.
    hub.until(lambda: hub.session("tooth")["ready"], 10, "it runs")
    assert hub.session("tooth") == before
    assert hub.job() == job
    hub.end_session("tooth")
    assert hub.jobs() == {}
    assert not proof.exists()


def test_the_port_is_taken_once_and_from_the_session_itself(slurm_hub, session):
    hub = slurm_hub
    port = int(hub.route("tooth").rpartition(":")[2])
    own = session["token"]
    assert hub.api("POST", "batchspawner", own, json={"port": port}).status_code == 204
    assert hub.api("POST", "batchspawner", own, json={"port": port % 60000 + 1}).status_code == 409
    for other in (hub.token("alice"), hub.token("bob"), hub.admin_token, "wrong"):
        assert hub.api("POST", "batchspawner", other, json={"port": port}).status_code == 403
    assert hub.http.post(f"{hub.hub_url}/hub/api/batchspawner", json={"port": port}).status_code == 403
    assert hub.ask("tooth")["token"] == session["token"]


def test_batchspawners_own_handler_is_in_no_hub(slurm_hub):
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = slurm_hub.api(method, "batchspawner", "alice", json={"port": 80})
        assert answer.status_code in (403, 404, 405), method


def _with(value, proof):
    """An attack that leaves its proof there."""
    if isinstance(value, dict):
        return {name: _with(one, proof) for name, one in value.items()}
    if isinstance(value, list):
        return [_with(one, proof) for one in value]
    return value.format(proof=proof) if isinstance(value, str) else value
