"""From a request to a session that runs in a job, through the queue, and out of it again."""

import json
import os

import pytest
from slurm_hub import LIGHT, refusal


def test_a_session_is_one_job_of_its_owner(slurm_hub):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    job = hub.job()
    found = hub.until(lambda: hub.ask("tooth"), 20, "it answers")
    owner = hub.accounts["alice"]
    assert (found["uid"], found["gid"]) == (owner["uid"], owner["gid"])
    assert set(owner["gids"]) <= set(found["gids"])
    environment = found["environment"]
    assert environment["HOME"] == str(hub.root / "home/alice")
    assert environment["SITE_SAYS"] == "hello tooth"
    assert "SECRET_OF_THE_HUB" not in environment
    assert json.loads(environment["VISA_SESSION_INFO"])["plan"] == "small"
    # It is reached on its node's own address.
    assert hub.route("tooth").startswith(f"http://{hub.address_of(hub.jobs()[job][2])}:")

    # The token is nowhere but in the session.
    token = found["token"]
    assert hub.api("GET", "user", token).json()["name"] == "alice"
    assert token not in json.dumps(environment)
    assert token not in hub.run("scontrol", "show", "job", "-dd", str(job))
    assert token not in hub.run("scontrol", "write", "batch_script", str(job), "-")
    assert not [name for name in hub.spool() if name.endswith(".token")]
    processes = [f"/proc/{pid}/" for pid in os.listdir("/proc") if pid.isdigit()]
    assert not [p for p in processes if token in _read(p + "cmdline") + _read(p + "environ")]

    hub.end_session("tooth", remove=False)
    assert hub.jobs() == {}
    assert hub.spool() == []
    session = hub.session("tooth")
    assert (session["state"], session["words"]) == ("stopped", "Stopped.")
    assert hub.api("GET", "user", token).status_code == 403
    # Staff read the end of its log, without the token and what would act on a terminal.
    (log,) = hub.api("GET", "visa/sessions", "heidi", params={"owner": "alice"}).json()["sessions"]
    assert {"a line of the session's log with …", "red"} <= set(log["log"])


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def test_a_session_waits_in_the_queue_and_is_told_where(slurm_hub, full_cluster):
    hub = slurm_hub
    assert hub.start_session("tooth", LIGHT).status_code == 202
    hub.until(lambda: "in the queue" in hub.session("tooth")["words"], 20, "it waits")
    waiting = hub.session("tooth")
    assert (waiting["state"], waiting["ready"]) == ("starting", False)
    job = hub.job()
    assert hub.job_state(job) == "PENDING"
    # The browser was closed long ago; another one follows the start.
    hub.start_session("next", LIGHT)
    hub.until(lambda: "2nd" in hub.session("next")["words"], 20, "its place is told")
    hub.end_session("next")
    assert list(hub.jobs()) == [job]
    full_cluster.free()
    hub.until(lambda: hub.session("tooth")["ready"], 30, "its turn has come")
    assert hub.job() == job


def test_a_session_in_the_queue_is_cancelled(slurm_hub, full_cluster):
    hub = slurm_hub
    hub.start_session("tooth", LIGHT)
    hub.until(lambda: hub.jobs(), 20, "it is in the queue")
    hub.end_session("tooth", remove=False)
    assert hub.jobs() == {}
    assert hub.spool() == []
    assert hub.session("tooth")["state"] == "stopped"


def test_a_start_is_cancelled_at_each_moment(slurm_hub):
    """Whenever somebody changes their mind, nothing is left."""
    hub = slurm_hub
    for number in range(6):
        hub.start_session("tooth", LIGHT)
        hub.until(lambda n=number: n < 2 or hub.jobs(), 20, "it is submitted")
        hub.until(lambda n=number: n < 4 or "RUNNING" in str(hub.jobs()), 20, "it runs")
        hub.end_session("tooth", remove=False)
        hub.until(lambda: not hub.jobs(), 20, "its job is gone")
        assert hub.spool() == []


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("no-such-partition", "part of the cluster"),
        ("no-such-gpu", "kind of GPU"),
        ("too-large", "number of cores"),
        ("no-such-account", "does not let your account"),
    ],
)
def test_what_the_cluster_has_not_is_said_in_words(slurm_hub, plan, says):
    words = refusal(slurm_hub, LIGHT | {"plan": plan})
    assert says in words
    assert slurm_hub.jobs() == {}
    assert slurm_hub.spool() == []


def test_the_plan_page_knows_what_the_cluster_has_not(slurm_hub, full_cluster):
    """Whoever chooses such a plan is not told that it waits in the queue."""
    (profile,) = slurm_hub.api("GET", "visa/options", "alice").json()["profiles"]
    free = {plan["name"]: plan["free"] for plan in profile["plans"]}
    for name, says in (
        ("too-large", "the largest has 4 cores."),
        ("no-such-gpu", "none has h100 GPUs."),
        ("no-such-partition", "no part named moon."),
    ):
        assert (free[name]["sessions"], free[name]["queue"], free[name]["expected"]) == (0, False, None)
        assert free[name]["words"].endswith(says), free[name]
    assert (free["whole"]["sessions"], free["whole"]["queue"]) == (0, True)
