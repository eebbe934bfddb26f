"""Desktop entries: what is read, how a command is taken apart, which icon is found."""

from __future__ import annotations

import pytest

from visa_session import icontheme
from visa_session.desktopentry import BadEntry, arguments_of, command_of, find_entry, read_entry

GOOD = r"""# a remark
[Other]
Name=not this one
[Desktop Entry]
Type = Application
Name=Ring\sfinder
Name[fr]=Anneaux
Comment=Finds rings
Exec=rings --title "a \\"b\\" \\$c" %F
Icon=rings
TryExec=rings
Path=/data
Terminal=true
[Desktop Action New]
Name=New
Exec=other
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory of an image, the only one."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    (tmp_path / "share/applications").mkdir(parents=True)
    return tmp_path / "share"


def write(data, text: str):
    path = data / "applications/rings.desktop"
    path.write_text(text)
    return path


def test_an_entry_is_read(data):
    entry = read_entry(write(data, GOOD))
    assert (entry.title, entry.comment, entry.icon) == ("Ring finder", "Finds rings", "rings")
    assert entry.command == ("rings", "--title", 'a "b" $c')
    assert (entry.needs, entry.directory, entry.terminal) == ("rings", "/data", True)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("a %f %F %u %U %d %D %n %N %v %m b", ["a", "b"]),
        ("a --file=%f", ["a", "--file="]),
        ("a 100%%", ["a", "100%"]),
        ("a %i %c %k", ["a", "--icon", "rings", "Rings", "/x.desktop"]),
        ('"/opt/my app/run" ""', ["/opt/my app/run", ""]),
        (r'a "\\ \" \` \$ \n"', ["a", r"\ " + '" ` $ ' + r"\n"]),
        ("a $HOME; reboot `x` | y > z", ["a", "$HOME;", "reboot", "`x`", "|", "y", ">", "z"]),
        ("  a\tb  ", ["a", "b"]),
    ],
)
def test_a_command_is_taken_apart_and_no_shell_sees_it(line, command):
    assert list(command_of(line, "Rings", "rings", "/x.desktop")) == command


def test_no_icon_no_option_for_it():
    assert command_of("a %i b", "A", "", "/x") == ("a", "b")


@pytest.mark.parametrize("line", ["", "%f", '"" a', 'a "b', "a %z", "a %"])
def test_a_command_without_a_meaning_is_refused(line):
    with pytest.raises(BadEntry):
        command_of(line, "A", "", "/x")


def test_a_backslash_at_the_end_is_no_way_out():
    with pytest.raises(BadEntry):
        arguments_of('a "b\\')


@pytest.mark.parametrize("change", [("Type = Application", "Type=Link"), ("Terminal=true", "Hidden=true")])
def test_what_is_no_application_is_none(data, change):
    with pytest.raises(BadEntry):
        read_entry(write(data, GOOD.replace(*change)))


def test_only_names_are_looked_up(data):
    path = write(data, GOOD)
    assert find_entry("rings") == path
    for name in ("../applications/rings", "/etc/rings", ".rings", "rings\0", "", "other"):
        assert find_entry(name) is None


def theme(data, name: str, sizes: tuple[int, ...], inherits: str = "") -> None:
    folder = data / "icons" / name
    lines = ["[Icon Theme]", f"Inherits={inherits}", "Directories=" + ",".join(f"{s}/apps" for s in sizes)]
    for size in sizes:
        (folder / f"{size}/apps").mkdir(parents=True)
        lines += [f"[{size}/apps]", f"Size={size}"]
    (folder / "index.theme").write_text("\n".join(lines))


@pytest.fixture
def themes(data, tmp_path, monkeypatch):
    settings = tmp_path / "xdg/xfce4/xfconf/xfce-perchannel-xml"
    settings.mkdir(parents=True)
    (settings / "xsettings.xml").write_text('<property name="IconThemeName" type="string" value="mine"/>')
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    theme(data, "mine", (16, 64), inherits="other,mine")
    theme(data, "other", (48,), inherits="mine")
    theme(data, "hicolor", (128, 256))
    (data / "pixmaps").mkdir()
    icontheme.index_of.cache_clear()
    icontheme.directories_of.cache_clear()
    yield data
    icontheme.index_of.cache_clear()
    icontheme.directories_of.cache_clear()


def test_icons_are_found_in_the_desktops_theme_before_the_others(themes):
    paths = ("pixmaps/a.png", "icons/hicolor/256/apps/a.png", "icons/hicolor/128/apps/a.png")
    paths += ("icons/other/48/apps/a.png", "icons/mine/16/apps/a.png", "icons/mine/64/apps/a.svg")
    for path in paths:
        (themes / path).write_text("x")
        assert icontheme.find_icon("a") == themes / path, "each is better than those before"
    assert icontheme.find_icon("a.png") == themes / paths[-1], "some entries write an ending"
    assert icontheme.find_icon(str(themes / "pixmaps/a.png")) == themes / "pixmaps/a.png"


def test_no_icon_leads_out_of_the_images_own(themes, tmp_path):
    (tmp_path / "secret.svg").write_text("x")
    (themes / "pixmaps/link.svg").symlink_to(tmp_path / "secret.svg")
    (themes / "pixmaps/text.txt").write_text("x")
    (themes / "pixmaps/large.svg").write_text("x" * (icontheme.LARGEST + 1))
    (themes / "pixmaps/loop.svg").symlink_to("loop.svg")
    (themes / "pixmaps/folder.svg").mkdir()
    names = ["link", "large", "loop", "folder", "text.txt", "../../secret", "", "a\0b"]
    names += [
        str(tmp_path / "secret.svg"),
        f"{themes}/../secret.svg",
        f"{themes}/pixmaps/text.txt",
        "/a\0b.svg",
    ]
    assert [name for name in names if icontheme.find_icon(name)] == []
