"""Room that is kept on the cluster: given to sessions of its plan, to nobody at the cost of another's job."""

import sys

import pytest
import yaml
from slurm_fixtures import a_slurm_hub
from slurm_hub import LIGHT, SEATS_UID, SEATS_USER, write_profiles

KEPT = LIGHT | {"plan": "kept"}
#: Stands before the launcher; while the file is there, a session's submission waits, and then is not made.
STALLING = """#!{python} -I
import os, subprocess, sys, time
asked = sys.stdin.buffer.read()
if b'"do": "submit"' in asked and os.path.exists({flag!r}):
    open({flag!r} + "-seen", "w").close()
    while os.path.exists({flag!r}):
        time.sleep(0.05)  # the launcher stands still until the test takes the file away
    sys.exit(1)
sys.exit(subprocess.run([{launcher!r}], input=asked).returncode)
"""


def write_plans(root, **changes):
    """The usual profiles, and two plans that have seats: a whole node, and half of one."""
    write_profiles(root)
    place = root / "profiles/light.yaml"
    profile = yaml.safe_load(place.read_text())
    warm = {"title": "Kept", "backend": "slurm", "cpus": 4, "memory": "300M", "warm": True}
    profile["plans"] |= {"kept": warm | changes, "half": warm | {"cpus": 2}}
    place.write_text(yaml.safe_dump(profile))


@pytest.fixture(scope="module")
def seats_hub(slurm_daemons):
    slurm_daemons.person(SEATS_USER, SEATS_UID)
    settings = {"seats": 2, "seats_user": SEATS_USER}
    with a_slurm_hub(slurm_daemons, "seats", write_plans, slurm=settings) as hub:
        program, hub.flag = hub.root / "stalling", hub.root / "no-submission"
        hub.stands_still = hub.root / "no-submission-seen"
        launcher = hub.slurm["launcher"][0]
        program.write_text(STALLING.format(python=sys.executable, flag=str(hub.flag), launcher=launcher))
        program.chmod(0o755)
        hub.slurm["launcher"] = [str(program)]
        hub.kill()  # the next one uses it
        yield hub


@pytest.fixture
def hub(seats_hub, slurm):
    """The hub, for as long as a test takes: while it runs there are seats."""
    hub = seats_hub
    if hub.hub.poll() is not None:
        hub.start()
    yield hub
    for file in (hub.flag, hub.stands_still):
        file.unlink(missing_ok=True)
    slurm.until_well()
    if hub.hub.poll() is None:
        hub.kill()
    hub.leave_the_cluster()


def seats(hub):
    """The seats that hold room: node and cores by job."""
    lines = hub.run("squeue", "-h", "-u", SEATS_USER, "-t", "R", "-o", "%i %B %C").splitlines()
    return {int(job): (node, int(cpus)) for job, node, cpus in map(str.split, lines)}


def a_seat(hub, cpus=4, but=()):
    """A seat of that size; job and node."""

    def there():
        return next((one for one, (_, size) in seats(hub).items() if size == cpus and one not in but), None)

    job = hub.until(there, 30, f"a seat is there: {hub.jobs()}")
    return job, seats(hub)[job][0]


def fill(hub, slurm, nodes):
    """Have somebody else's job take so many whole nodes, and the hub see it."""
    job = slurm.submit("sleep 600", "bob", f"--nodes={nodes}", "--exclusive")
    slurm.until(job, "RUNNING")
    hub.until(lambda: free(hub, "kept")[1] == "Room for one such session is kept free.", 20, "it is full")
    return job


def free(hub, plan):
    """What the plan's page says: sessions that could start now, and the words."""
    (light,) = hub.api("GET", "visa/options", "alice").json()["profiles"]
    found = next(one for one in light["plans"] if one["name"] == plan)["free"]
    return found["sessions"], found["words"]


def test_a_session_takes_its_seat_and_any_job_that_waits_the_others(hub, slurm):
    seat, node = a_seat(hub)
    half, _ = a_seat(hub, cpus=2)
    # It is nobody's, and is not put back.
    about = slurm.job(seat)
    assert (about["Requeue"], about["JobName"], about["Nice"]) == ("0", "visa-seat", "1000000")
    others = fill(hub, slurm, 2)
    assert free(hub, "kept")[0] == 1
    hub.run_session("tooth", KEPT)
    assert list(seats(hub)) == [half]
    job = next(iter(set(hub.jobs()) - {half}))
    assert hub.jobs()[job][1:] == ("alice", node)
    assert hub.ask("tooth")["uid"] == hub.accounts["alice"]["uid"]

    # It is made anew where there is room, and where there is room no session takes it.
    slurm.run("scancel", str(others))
    again, _ = a_seat(hub, but=[seat])
    hub.run_session("next", KEPT)
    assert {again, half} <= set(seats(hub))

    waiting = slurm.submit("sleep 600", "bob", "--cpus-per-task=4")
    slurm.until(waiting, "RUNNING")
    assert again not in seats(hub)
    for name in ("tooth", "next"):
        hub.end_session(name)


def test_a_killed_hub_finds_its_seats_and_loses_nothing_between_seat_and_submission(hub, slurm):
    seat, _ = a_seat(hub)
    half, _ = a_seat(hub, cpus=2)
    others = fill(hub, slurm, 2)
    hub.flag.touch()
    hub.start_session("tooth", KEPT)
    hub.until(lambda: list(seats(hub)) == [half], 20, f"its seat is given up: {hub.jobs()}")
    # Else one that begins while the hub is killed may find the file gone, and submit after all.
    hub.until(hub.stands_still.exists, 20, "its submission waits")
    hub.kill()
    hub.flag.unlink()
    hub.start()
    hub.until(lambda: hub.is_over("tooth"), 30, f"it never started: {hub.session('tooth')}")
    # Nothing is lost but the start. One seat was found again, the other is made anew.
    again, node = a_seat(hub, but=[seat])
    assert half in seats(hub)
    hub.until(lambda: free(hub, "kept")[0] == 1, 20, "it is full again")
    hub.run_session("tooth", KEPT)
    (job,) = set(hub.jobs()) - {half}
    assert hub.jobs()[job][1:] == ("alice", node)

    # Another size is another seat, and without the setting there is none.
    slurm.run("scancel", str(others))
    hub.kill()
    write_plans(hub.root, cpus=3)
    hub.start()
    a_seat(hub, cpus=3)
    assert half in seats(hub)
    hub.kill()
    hub.slurm["seats"] = 0
    hub.start()
    hub.until(lambda: seats(hub) == {}, 30, "it is turned off")
    assert hub.session("tooth")["state"] == "running"
    hub.end_session("tooth")
