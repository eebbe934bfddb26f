"""The parts that need no running session: protocol, files, imports, settings."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from visa_session import desktopentry, keyboards, pages, places, rfb, welcome, xfce
from visa_session.contract import DatasetInfo, ExperimentInfo, SessionInfo
from visa_session.screen import density_of, size_of

from .hubside import TREE

SET_ENCODINGS = struct.pack(">BxHiii", 2, 3, 0, rfb.EXTENDED_DESKTOP_SIZE, rfb.EXTENDED_MOUSE_BUTTONS)
KEY, POINTER = struct.pack(">BBxxI", 4, 1, 97), struct.pack(">BBHH", 5, 0, 3, 4)
RESIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
CUT = struct.pack(">BxxxI", 6, 5) + b"hello"
EXTENDED_CUT = struct.pack(">Bxxxi", 6, -8) + b"\1\0\0\1data"
ASK = struct.pack(">BBHHHH", 3, 1, 0, 0, 9, 9)
OTHERS = bytes(20), ASK, bytes([150]) + bytes(9), b"\xf8" + bytes(7) + b"\2ab"
QEMU_KEY = b"\xff\0" + bytes(10)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_a_clients_messages_are_told_apart_however_they_are_cut(piece):
    stream = rfb.ClientStream()
    messages = [KEY, CUT, EXTENDED_CUT, *OTHERS, QEMU_KEY, POINTER]
    sent = b"".join(messages)
    passed = b"".join(stream.take(sent[i : i + piece])[0] for i in range(0, len(sent), piece))
    assert passed == sent


def test_a_size_is_asked_for_only_after_the_client_said_that_it_understands():
    stream = rfb.ClientStream()
    assert stream.take(RESIZE + KEY)[0] == KEY
    struck = struct.pack(">BxHii", 2, 2, 0, rfb.EXTENDED_DESKTOP_SIZE)
    assert stream.take(SET_ENCODINGS)[0] == struck, "the mouse's encoding is struck out"
    assert stream.take(RESIZE)[0] == RESIZE
    plain = struct.pack(">BxHi", 2, 1, 0)
    assert stream.take(plain + RESIZE)[0] == plain, "and no longer once it says otherwise"


def test_only_a_persons_doing_counts_as_doing():
    stream = rfb.ClientStream()
    assert not stream.take(SET_ENCODINGS + ASK)[1]
    for message in (KEY, POINTER, CUT, QEMU_KEY):
        assert stream.take(message)[1]


def test_the_password_file_is_the_one_that_vncpasswd_writes():
    """Full control first, then view-only; checked with TigerVNC's own program."""
    written = subprocess.run(
        ["vncpasswd", "-f"], input=b"Secret12\nWatch345\n", capture_output=True, check=True
    ).stdout
    assert rfb.password_file("Secret12", "Watch345") == written
    assert len({rfb.new_password() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "screen, size",
    [
        ("1920x1080", (1920, 1080)),
        ("1x1", (640, 480)),
        ("99999x99999", (7680, 4320)),
        ("", (1920, 1080)),
        ("1920x1080 -rfbport 5900", (1920, 1080)),
        ("-1x5", (1920, 1080)),
    ],
)
def test_a_screen_is_within_what_is_sensible(screen, size):
    assert size_of(screen) == size


@pytest.mark.parametrize(
    ("size", "density"),
    [
        ("1280x720", 96),
        ("1920x1080", 96),
        ("1920x1200", 96),
        ("2560x1440", 120),
        ("2560x1600", 144),
        ("3840x2160", 192),
        ("7680x4320", 192),
        ("nonsense", 96),
    ],
)
def test_letters_grow_with_the_screen(size, density):
    assert density_of(size) == density


def test_keyboards():
    assert keyboards.layout_and_variant("ch(fr)") == ("ch", "fr")
    assert keyboards.layout_and_variant("us") == ("us", "")
    for bad in ("xx", "us; reboot", "us -option", ""):
        with pytest.raises(ValueError, match="^keyboard: "):
            keyboards.layout_and_variant(bad)


def test_every_keyboard_is_one_that_x_knows():
    rules = ElementTree.parse("/usr/share/X11/xkb/rules/base.xml")
    layouts = {}
    for layout in rules.iter("layout"):
        variants = {item.text for item in layout.iterfind("variantList/variant/configItem/name")}
        layouts[layout.findtext("configItem/name")] = variants | {""}
    for keyboard in keyboards.KEYBOARDS:
        layout, variant = keyboards.layout_and_variant(keyboard)
        assert variant in layouts[layout], keyboard


def test_the_time_left():
    assert pages.seconds_left("") is None
    assert pages.seconds_left("soon") is None
    assert pages.seconds_left("2001-01-01T00:00:00Z") == 0
    assert pages.seconds_left("2999-01-01T00:00:00") > 10**9


def test_the_top_of_the_files_is_the_persons_own():
    experiment = ExperimentInfo(id="A", raw="/data/visitor/a/RAW", processed="/data/visitor/a/PROC")
    info = SessionInfo(owner="a", name="b", experiments=(experiment,))
    assert places.top_directories(info, "/home/a") == {"home", "data", "experiments"}
    assert places.top_directories(SessionInfo(owner="a", name="b"), "/home/a") == {"home"}


def test_new_files_belong_beside_the_data_where_one_may_write(tmp_path):
    for id in ("A", "B"):
        (tmp_path / id / "processed").mkdir(parents=True)
    experiments = [ExperimentInfo(id=id, raw=f"/r/{id}", processed=f"/p/{id}") for id in ("A", "B")]
    opens = lambda *some: places.writable_directory(  # noqa: E731
        SessionInfo(owner="a", name="b", experiments=some), "/home/a", str(tmp_path)
    )
    assert opens(*experiments) == f"{tmp_path}/A/processed"
    assert opens(ExperimentInfo(id="A", raw="/r/A"), experiments[1]) == f"{tmp_path}/B/processed"
    assert opens(ExperimentInfo(id="gone", raw="/r", processed="/p")) == "/home/a"
    assert opens() == "/home/a"


def test_data_are_looked_at_where_they_are(tmp_path):
    root, chosen = str(tmp_path), (DatasetInfo("s1", "scan", "s1"),)
    for path in ("A/datasets", "B/datasets/scan", "C/datasets/scan", "C/datasets/scan 2"):
        (tmp_path / path).mkdir(parents=True)

    def looked_at(*ids: str, datasets=chosen) -> str:
        some = tuple(ExperimentInfo(id, datasets=datasets) for id in ids)
        return places.data_directory(SessionInfo("a", "b", experiments=some), "/home/a", root)

    assert looked_at() == "/home/a"
    assert looked_at("A", datasets=()) == looked_at("A") == f"{root}/A"
    assert looked_at("B", datasets=()) == f"{root}/B", "the team's links are not this session's choice"
    assert looked_at("B") == f"{root}/B/datasets/scan"
    assert looked_at("C") == f"{root}/C/datasets"
    assert looked_at("A", "B") == root
    assert looked_at("gone") == "/home/a"


def test_the_welcome_notebook_is_the_persons_own_copy(tmp_path):
    template, results = tmp_path / "template", tmp_path / "results"
    template.write_text("new")
    results.mkdir()
    assert welcome.copy_welcome(template, results, "alice") == results / "welcome.ipynb"
    (results / "welcome.ipynb").write_text("changed")
    assert welcome.copy_welcome(template, results, "alice") == results / "welcome.ipynb"
    assert (results / "welcome.ipynb").read_text() == "changed", "what they made of it stays"
    os.chown(results / "welcome.ipynb", 12345, -1)
    assert welcome.copy_welcome(template, results, "alice") == results / "welcome-alice.ipynb"
    (results / "welcome-alice.ipynb").unlink()
    (results / "welcome-alice.ipynb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError, match="there is something else"):
        welcome.copy_welcome(template, results, "alice")
    assert not (tmp_path / "elsewhere").exists(), "nothing is written through a link"


def test_chosen_datasets_come_through_the_contract():
    datasets = (DatasetInfo("s1", "scan 1", "scans/s1"), DatasetInfo("s2"))
    experiments = (ExperimentInfo(id="A", raw="/r/A", datasets=datasets), ExperimentInfo(id="B", raw="/r/B"))
    info = SessionInfo(owner="a", name="b", experiments=experiments)
    assert SessionInfo.from_json(info.to_json()) == info
    with pytest.raises(ValueError, match="is not readable"):
        SessionInfo.from_json('{"owner": "a", "name": "b", "experiments": [{"id": "A", "datasets": ["s1"]}]}')


def test_an_image_of_years_ago_starts_under_a_hub_that_says_more():
    new = {"owner": "a", "name": "b", "later": 1}
    new["experiments"] = [{"id": "A", "later": 1, "datasets": [{"id": "s", "later": [1]}]}]
    info = SessionInfo.from_json(json.dumps(new))
    assert info.experiments == (ExperimentInfo(id="A", datasets=(DatasetInfo("s"),)),)


def test_the_root_is_listed_shortened_and_everything_else_in_full(shared_session):
    names = {entry["name"] for entry in shared_session.get("api/contents/").json()["content"]}
    assert names == {"tmp"}, "the home of these tests is below /tmp"
    assert shared_session.get("api/contents/etc/hostname").status_code == 200


def test_applications_are_put_on_the_desktop_without_the_desktops_own_settings(tmp_path, monkeypatch):
    (tmp_path / "applications").mkdir()
    entry = "[Desktop Entry]\nType=Application\nName=silx view\nExec=silx view %F\n"
    (tmp_path / "applications/silx-view.desktop").write_text(entry)
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    icons = tmp_path / "icons"
    icons.mkdir()
    named = ("silx-view", "missing", "../silx-view")
    xfce.place_applications(desktopentry.find_applications(named), icons)
    assert [path.name for path in icons.iterdir()] == ["00-silx-view.desktop"]
    placed = (icons / "00-silx-view.desktop").read_text()
    assert "Exec=env -u XDG_CONFIG_HOME silx view %F\n" in placed


def test_experiments_are_put_on_the_desktop_under_their_own_paths(tmp_path):
    nasty = ("a b", "../x", "a;b", "$(x)", "", ".")
    experiments = [ExperimentInfo(id="MA-1", title="Two\nlines \\ \x1b[1m")]
    experiments += [ExperimentInfo(id=name) for name in nasty]
    xfce.place_experiments(SessionInfo(owner="a", name="b", experiments=tuple(experiments)), tmp_path)
    (placed,) = tmp_path.iterdir()
    assert placed.read_text().splitlines() == [
        "[Desktop Entry]",
        "Type=Application",
        "Name=MA-1",
        "Comment=Two lines \\\\  [1m",
        'Exec=env -u XDG_CONFIG_HOME thunar "/experiments/MA-1"',
        "Icon=folder",
    ]


def test_settings_of_xfce_are_well_formed_and_leave_the_home_alone(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    environment = xfce.prepare(SessionInfo(owner="a", name="b"), tmp_path / "a & <b>")
    channels = sorted((tmp_path / "a & <b>/xdg").rglob("*.xml"))
    assert {path.stem for path in channels} == {"default", "xfce4-desktop", "xfwm4", "xsettings"}
    labels = Path(environment["VISA_DESKTOP_CONFIG"], "gtk-3.0/gtk.css").read_text()
    assert "ellipsize-icon-labels: 0" in labels, "ids of one proposal must be told apart"
    for path in channels:
        assert "@" not in ElementTree.tostring(ElementTree.parse(path).getroot(), encoding="unicode")
    assert environment["XDG_CONFIG_DIRS"].startswith(str(tmp_path))
    assert list(home.iterdir()) == []


def test_experiments_are_added_to_the_file_managers_places_once(tmp_path):
    info = SessionInfo(owner="a", name="b", experiments=(ExperimentInfo(id="A"),))
    places = tmp_path / ".config/gtk-3.0/bookmarks"
    for _ in range(2):
        xfce.bookmark_experiments(info, tmp_path)
    assert places.read_text() == "file:///experiments Experiments\n"
    places.write_text("file:///data My data")
    xfce.bookmark_experiments(info, tmp_path)
    assert places.read_text() == "file:///data My data\nfile:///experiments Experiments\n"


LEAN = """
import json, sys
from visa_session.lean import import_server
if sys.argv[1] == "lean":
    import_server()
    left = sorted(name for name in sys.modules if name.partition(".")[0] in ("sqlalchemy", "alembic"))
    assert not left, left
    assert "rfc3987_syntax" not in sys.modules
from jupyterhub.services.auth import HubAuth
import jupyterhub.singleuser.extension
scopes = ["access:servers!server=a/b", "access:servers!user=a", "custom:visa:view!server=a/b"]
scopes.append("read:users!group=g")
auth = HubAuth(api_token="x", api_url="http://127.0.0.1:1/", cache_max_age=0)
found = [
    sorted(auth.check_scopes(set(required), {"name": "u", "scopes": held}))
    for required in (scopes[:1], scopes[:2], scopes)
    for held in (scopes, scopes[:1], scopes[1:2], ["access:servers"], [], ["custom:visa:view!server=c/d"])
]
# What was left out is there for whoever wants it for real.
import sqlalchemy, jupyterhub.orm, jupyterhub.handlers.pages
database = sqlalchemy.create_engine("sqlite://").connect()
assert database.execute(sqlalchemy.text("select 41 + 1")).scalar() == 42
assert jupyterhub.orm.User.__tablename__ == "users"
print(json.dumps(found))
"""


def test_the_quick_import_decides_about_scopes_as_the_full_one_does():
    env = {"PYTHONPATH": str(TREE), "JUPYTERHUB_SINGLEUSER_EXTENSION": "1", "PATH": "/usr/bin:/bin"}
    answers = []
    for how in ("lean", "full"):
        done = subprocess.run([sys.executable, "-c", LEAN, how], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    assert answers[0] == answers[1]
    assert any(answers[0]) and not all(answers[0])


def test_a_version_that_needs_more_than_the_empty_modules_is_imported_in_full():
    env = {"PYTHONPATH": str(TREE), "JUPYTERHUB_SINGLEUSER_EXTENSION": "1", "PATH": "/usr/bin:/bin"}
    code = (
        "from visa_session import lean; del lean.HUB_SIDE['jupyterhub.handlers.pages']['HealthCheckHandler'];"
        "lean.import_server(); import jupyterhub.log as log; print(log.HealthCheckHandler.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "jupyterhub.handlers.pages"
    assert "Importing JupyterHub in full" in done.stderr


PARSED = """
import json, sys
from visa_session import lean
if sys.argv[1] == "lean":
    lean.parse_nothing_quickly()
from jupyter_server.serverapp import ServerApp
def parsed(*arguments):
    app = ServerApp()
    app.parse_command_line(list(arguments))
    return [app.argv, app.cli_config, app.extra_args, app.config, app.port]
print(json.dumps([parsed(), parsed("--port", "1234", "--ServerApp.base_url=/x/")]))
"""


def test_no_argument_parsed_quickly_is_as_nothing_as_in_full():
    env = {"PYTHONPATH": str(TREE), "PATH": "/usr/bin:/bin"}
    answers = []
    for how in ("lean", "full"):
        done = subprocess.run([sys.executable, "-c", PARSED, how], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert answers[0] == answers[1]
    assert answers[0][1][4] == 1234, "and what there is to parse is parsed"


def test_of_who_only_watches_nothing_that_acts_is_passed_on():
    stream = rfb.ClientStream(watching=True)
    assert stream.take(KEY + POINTER + CUT + EXTENDED_CUT + QEMU_KEY) == (b"", False)
    offered = [0, rfb.EXTENDED_CLIPBOARD, rfb.QEMU_KEYS, rfb.EXTENDED_DESKTOP_SIZE]
    told = struct.pack(">BxHiiii", 2, 4, *offered)
    assert stream.take(told)[0] == struct.pack(">BxHii", 2, 2, 0, rfb.EXTENDED_DESKTOP_SIZE)
    assert stream.take(RESIZE)[0] == b"", "not even after the encoding for it"
    assert stream.take(b"".join(OTHERS[1:2]) + ASK)[0] == OTHERS[1] + ASK
