"""How the doctor runs its checks and what it prints, without a site: what hangs, what follows, exit codes."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from visa_doctor import command, report, unit
from visa_doctor.environment import read_environment
from visa_doctor.finding import CannotLook, Finding, Verdict, fine, unchecked, warning, wrong
from visa_doctor.looking import Check, each_of, in_thread


class Here:
    """As much of an installation as running checks takes."""

    limit = 0.5

    def close(self):
        pass


def check(name):
    """The decorated look, as a check of this name."""
    return lambda look: Check(name, "", look)


@check("well")
async def WELL(here):
    yield fine("All is well.")


@check("sleeps")
async def SLEEPS(here):
    yield fine("The first thing is well.", "first")
    await asyncio.sleep(60)


@check("hangs")
async def HANGS(here):
    yield await in_thread(threading.Event().wait)


@check("stands")
async def STANDS(here):
    time.sleep(3)  # noqa: ASYNC251 - a check that blocks: longer than its limit, which the test holds
    yield fine("It was slow.")


@check("breaks")
async def BREAKS(here):
    yield wrong("This is wrong.", "Mend it.")
    raise KeyError("x")


@check("waits")
async def WAITS(here):
    raise CannotLook("the settings are wrong", because="configuration")
    yield


def look(*checks, within=10.0):
    found, late = command.examined(Here(), checks, within)
    return [(one.check, one.about, one.verdict) for one in found], late


def test_what_sleeps_or_hangs_keeps_nobody_back():
    began = time.monotonic()
    found, late = look(SLEEPS, HANGS, WELL)
    assert found == [
        ("sleeps", "first", Verdict.OK),
        ("sleeps", "", Verdict.UNCHECKED),
        ("hangs", "", Verdict.UNCHECKED),
        ("well", "", Verdict.OK),
    ]
    assert not late
    assert time.monotonic() - began < 5


def test_what_stands_in_the_way_of_all_ends_with_the_time_of_all():
    began = time.monotonic()
    found, late = look(WELL, STANDS, within=1.0)
    assert found[-1] == ("stands", "", Verdict.UNCHECKED)
    assert late
    assert time.monotonic() - began < 2.5


def test_a_check_that_fails_by_itself_says_so_and_keeps_what_it_found():
    found, _ = look(BREAKS, WAITS)
    assert found == [
        ("breaks", "", Verdict.WRONG),
        ("breaks", "", Verdict.UNCHECKED),
        ("waits", "", Verdict.UNCHECKED),
    ]


async def test_of_several_things_one_that_hangs_leaves_the_others():
    async def slow():
        await asyncio.sleep(60)
        yield fine("Never.")

    async def quick():
        yield fine("Here.", "quick")

    found = [one async for one in each_of({"slow": slow(), "quick": quick()}, 0.3)]
    assert [(one.about, one.verdict) for one in found] == [
        ("slow", Verdict.UNCHECKED),
        ("quick", Verdict.OK),
    ]


# What is printed --------------------------------------------------------------------------------------
def told(*findings):
    return [Finding(**{**vars(one), "check": name}) for name, one in findings]


NIGHT = told(
    ("configuration", fine("It can be read.")),
    ("clock", unchecked("Its clock is not known.", about="gpu01", because="engines")),
    ("clock", fine("The clock is kept by NTP.")),
    ("certificates", warning("The certificate ends in 5 days.", "Have it made anew.")),
    ("engines", wrong("The engine does not answer.", "Restart it.", "gpu01")),
    ("engines", fine("It answers.", "local")),
    ("images", unchecked("Not known.", about="gpu01", because="engines")),
    ("metrics", unchecked("There was no answer within 15 seconds.")),
)


def test_the_cause_is_told_once_and_first_and_what_is_fine_in_a_line():
    lines = report.as_text("https://visa.facility.eu", NIGHT, 2.34, 100, False).splitlines()
    assert lines[0].startswith("https://visa.facility.eu, ")
    assert lines[0].endswith(": 1 wrong, 1 could not be checked, 1 to look after, 3 fine (2.3 s)")
    assert lines[1:] == [
        "",
        "WRONG",
        "  engines, gpu01",
        "    The engine does not answer.",
        "    -> Restart it.",
        "    (hence also: clock, images)",
        "",
        "COULD NOT BE CHECKED",
        "  metrics",
        "    There was no answer within 15 seconds.",
        "",
        "WARNING",
        "  certificates",
        "    The certificate ends in 5 days.",
        "    -> Have it made anew.",
        "",
        "Fine: configuration, clock, engines (local).",
    ]


def test_what_is_wrong_for_a_cause_stands_there_and_alone_where_there_is_none():
    cause = told(("portal", wrong("The portal does not answer.", "Restart it.")))
    follows = told(("address", wrong("It answers 503.", "See the portal.", because="portal")))
    text = report.as_text("", cause + follows, 1, 100, False)
    assert "(hence also: address)" in text
    assert "503" not in text
    assert "503" in report.as_text("", follows, 1, 100, False)


def test_what_a_site_does_not_have_is_named():
    text = report.as_text("", NIGHT, 1, 100, False, ["slurm", "machines"])
    assert text.splitlines()[-1] == "Not in use here: slurm, machines."
    assert (
        report.as_text("Site", [], 1, 100, False, ["slurm"])
        .splitlines()[0]
        .endswith("nothing to look at (1.0 s)")
    )


def test_a_command_is_not_broken_in_its_words():
    mend = f"{'It is long. ' * 7}`systemctl restart visa-portal` and /etc/{'x' * 120}/visa-proxy"
    lines = report.as_text("", told(("portal", wrong("No.", mend))), 1, 100, False).splitlines()
    assert any(line.endswith(("visa-portal`", "visa-portal` and")) for line in lines), lines
    assert any(f"/etc/{'x' * 120}/visa-proxy" in line for line in lines)


def test_for_programs():
    found = json.loads(report.as_json("https://visa.facility.eu", NIGHT, 1))
    assert (found["exit_code"], len(found["findings"])) == (1, 8)
    assert found["findings"][4] == {
        "check": "engines",
        "verdict": "wrong",
        "about": "gpu01",
        "what": "The engine does not answer.",
        "mend": "Restart it.",
        "because": "",
        "stops_the_hub": False,
    }


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([fine(""), warning("", "")], 0),
        ([wrong("", ""), unchecked("")], 1),
        ([fine(""), unchecked("")], 2),
    ],
)
def test_exit_codes(findings, code):
    assert report.exit_code(findings) == code


# Where the service has its things ---------------------------------------------------------------------
def test_what_systemd_says_of_the_service():
    said = (
        "WorkingDirectory=/var/lib/visa/hub\n"
        "EnvironmentFiles=/etc/visa/site.env (ignore_errors=no)\n"
        "EnvironmentFiles=/etc/visa/hub.env (ignore_errors=yes)\n"
        "ExecStart={ path=/opt/visa/venv/bin/jupyterhub ; argv[]=/opt/visa/venv/bin/jupyterhub -f"
        " /opt/visa/jupyterhub_config.py ; ignore_errors=no ; start_time=[n/a] ; pid=0 }\n"
    )
    assert unit.read(said) == unit.Unit(
        config=Path("/opt/visa/jupyterhub_config.py"),
        environment=(Path("/etc/visa/site.env"), Path("/etc/visa/hub.env")),
        directory=Path("/var/lib/visa/hub"),
    )
    assert unit.read("WorkingDirectory=\nExecStart=\n").config is None


def test_an_environment_file(tmp_path):
    path = tmp_path / "hub.env"
    path.write_text("# words\n\nA=one two\nB=\"three four\"\n; more\nC='five'\nD=\n")
    assert read_environment(path) == {"A": "one two", "B": "three four", "C": "five", "D": ""}
    path.write_text("A=1\nexport B=2\n")
    with pytest.raises(ValueError, match="hub.env, line 2: not NAME=VALUE"):
        read_environment(path)


def test_a_command_line_that_is_wrong(capsys):
    from visa_spawner.command.__main__ import main

    assert main(["doctor", "--only", "moon"]) == 2
    assert "no such check: moon" in capsys.readouterr().err
    assert main(["doctor", "--environment", "/nowhere/hub.env"]) == 2
    assert "/nowhere/hub.env" in capsys.readouterr().err
    assert main(["doctor", "--list"]) == 0
    assert "engines" in capsys.readouterr().out
