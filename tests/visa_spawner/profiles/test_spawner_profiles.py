import pytest

from visa_spawner.profiles.files import ProfileError, load_profiles
from visa_spawner.profiles.model import to_bytes

TOMOGRAPHY = """\
name: tomography
title: Tomography reconstruction
summary: nabu, tomwer and silx, on a GPU where you ask for one
suits: {instruments: [id19, bm18], techniques: [tomography]}
image: tomography
applications: [silx-view, tomwer]
roles: []
lifetime: {default_hours: 8, max_hours: 336, idle_hours: 4}
plans:
  small: {title: "4 cores, 16 GB", backend: container, cpus: 4, memory: 16G}
  gpu:   {title: "1 GPU", backend: container, cpus: 8, memory: 64G, gpus: 1}
  cluster: {title: C, backend: slurm, cpus: 32, memory: 256G, gpus: 2, gpu_type: a100, partition: g, hours: 9}
  machine: {title: "Virtual machine", backend: vm, cpus: 4, memory: 16G, disk: 40G}
"""


def write(directory, text, name="tomography.yaml"):
    (directory / name).write_text(text)
    return directory


def refusal(directory, **options):
    with pytest.raises(ProfileError) as error:
        load_profiles(directory, **options)
    return str(error.value)


def test_the_documented_file_is_read_whole(tmp_path):
    profile = load_profiles(write(tmp_path, TOMOGRAPHY), {"container", "slurm", "vm"})["tomography"]
    assert profile.title == "Tomography reconstruction"
    assert profile.suits.instruments == ["id19", "bm18"]
    assert profile.applications == ["silx-view", "tomwer"]
    assert profile.lifetime.max_hours == 336
    assert profile.plans["small"].memory == 16 * 2**30
    assert profile.plans["gpu"].resources.gpus == 1
    assert profile.plans["cluster"].gpu_type == "a100"
    assert profile.plans["machine"].disk == 40 * 2**30


def test_whether_containers_wait_changes_nothing_of_what_a_session_is(tmp_path):
    cold = load_profiles(write(tmp_path, TOMOGRAPHY))["tomography"]
    warm = load_profiles(write(tmp_path, TOMOGRAPHY.replace("memory: 16G}", "memory: 16G, warm: true}")))
    assert warm["tomography"].plans["small"].warm and not cold.plans["small"].warm
    assert warm["tomography"].revision == cold.revision


def test_profiles_come_in_the_order_of_their_titles(tmp_path):
    write(tmp_path, TOMOGRAPHY)
    other = TOMOGRAPHY.replace("name: tomography", "name: zinc").replace("title: Tomo", "title: A Tomo")
    write(tmp_path, other, "zinc.yaml")
    (tmp_path / "README.md").write_text("not a profile")
    assert list(load_profiles(tmp_path)) == ["zinc", "tomography"]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("name: tomography\n", "name: other\n", 1, "name", "the file's name"),
        ("title: Tomography reconstruction\n", "", 1, "title", "is missing"),
        ("image: tomography", "image: ../etc", 5, "image", "pattern"),
        ("image: tomography", "imaeg: tomography", 5, "imaeg", "no such field"),
        ("roles: []", "roles: staff", 7, "roles", "list"),
        ("default_hours: 8", "default_hours: eight", 8, "lifetime.default_hours", "number"),
        ("default_hours: 8", "default_hours: 400", 8, "lifetime", "more than max_hours"),
        ("memory: 64G", "memory: 64", 11, "plans.gpu.memory", "such as 16G"),
        ("memory: 64G", "memory: 64 GB", 11, "plans.gpu.memory", "such as 16G"),
        ("gpus: 1", "gpus: -1", 11, "plans.gpu.gpus", "greater than or equal to 0"),
        ("gpus: 1", "gpus: true", 11, "plans.gpu.gpus", "integer"),
        ("cpus: 8", "cpus: 0", 11, "plans.gpu.cpus", "greater than 0"),
        ("backend: vm", "backend: cloud", 13, "plans.machine.backend", "no such backend; known: container"),
        ("  gpu: ", "  'g p u': ", 11, "plans.g p u", "pattern"),
        ("  gpu: ", "  small: ", 11, "plans.small", "twice"),
        ("gpus: 1}", "gpus: 1, warm: true}", 11, "plans.gpu.warm", "hold a GPU that somebody needs"),
        ("hours: 9}", "hours: 9, nodes: 2, warm: true}", 12, "plans.cluster.warm", "plan of several nodes"),
        ("memory: 16G, disk", "warm: true, memory: 16G, disk", 13, "plans.machine.warm", "`backend: slurm`"),
        ("memory: 16G, disk", "warm: soon, memory: 16G, disk", 13, "plans.machine.warm", "boolean"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(tmp_path, old, new, line, field, words):
    assert TOMOGRAPHY.count(old) == 1 or old == "image: tomography"
    message = refusal(write(tmp_path, TOMOGRAPHY.replace(old, new)), backends={"container", "slurm", "vm"})
    assert message.startswith(f"{tmp_path / 'tomography.yaml'}, line {line}, {field}: "), message
    assert words in message


def test_a_broken_file_is_told_with_its_line(tmp_path):
    assert "tomography.yaml, line 3: not valid YAML" in refusal(write(tmp_path, "name: a\ntitle: b\n}\n"))
    assert "is empty" in refusal(write(tmp_path, ""))
    assert "dictionary" in refusal(write(tmp_path, "just words"))
    assert "not valid YAML" in refusal(write(tmp_path, "name: !!python/object/apply:os.system [id]"))


def test_no_plan_no_profile_no_directory(tmp_path):
    head = TOMOGRAPHY.split("plans:")[0]
    assert "line 9, plans: " in refusal(write(tmp_path, head + "plans: {}\n"))
    (tmp_path / "tomography.yaml").unlink()
    assert "there is no profile" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "missing")


def test_a_profile_without_roles_is_for_everyone(tmp_path):
    profile = load_profiles(write(tmp_path, TOMOGRAPHY))["tomography"]
    assert profile.allows(())
    limited = load_profiles(write(tmp_path, TOMOGRAPHY.replace("roles: []", "roles: [helpdesk]")))[
        "tomography"
    ]
    assert limited.allows({"helpdesk", "scientist"})
    assert not limited.allows({"scientist"})


@pytest.mark.parametrize("value", ["0G", "1.5G", "G", "16g", "-1G", 16, None, "16G\n", "9" * 30 + "T"])
def test_bytes_are_a_whole_number_and_a_unit(value):
    with pytest.raises(ValueError, match="such as 16G"):
        to_bytes(value)
