import io
import json
import tarfile
import time

import pytest
from container_support import plan

from visa_spawner.backends import files, words
from visa_spawner.backends.gpus import GpuShare, GpuUnknown, not_given, share
from visa_spawner.backends.nodes import Node
from visa_spawner.backends.placement import Taken
from visa_spawner.backends.spec import Limits, container_name, container_spec, image_name, taken_from
from visa_spawner.session import Bind, Person, StartRefused, State

LIMITS = Limits(1 << 30, 0.25, 100, {"core": (0, 0)})
NODE = Node(
    name="n",
    engine="unix:///run/x.sock",
    cpus=8,
    memory="64G",
    gpus={"0": {"devices": ["/dev/nvidia0"]}, "1": {"devices": ["/dev/nvidia1"]}},
    gpu_common=["/dev/nvidiactl"],
)


def spec(session=None, node=NODE, gpus=()):
    taken = Taken(node.name, 1, 1, tuple(gpus))
    return container_spec(
        session or plan(),
        node=node,
        taken=taken,
        gpus=share(node, gpus),
        image="i",
        hub_id="here",
        limits=LIMITS,
    )


def test_nothing_in_it_gives_more_than_a_plain_process():
    host = spec()["HostConfig"]
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == []
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Devices"] == []
    assert "DeviceRequests" not in host
    assert host["Memory"] == host["MemorySwap"] == 200 << 20


def test_labels_tell_again_what_a_container_takes():
    body = spec(gpus=["1"])
    assert body["Labels"]["visa.hub"] == "here"
    assert body["Labels"]["visa.session"] == "alice/first"
    assert body["Labels"]["visa.profile"] == "general"
    assert taken_from("n", body["Labels"]) == Taken("n", 1, 1, ("1",))
    with pytest.raises(ValueError, match="labels do not say"):
        taken_from("n", {"visa.cpus": "x"})


@pytest.mark.parametrize(
    "person", [Person("x", 0, 5, (), "/h"), Person("x", 5, 0, (), "/h"), Person("x", 5, 5, (0,), "/h")]
)
def test_no_session_runs_as_root_or_in_its_group(person):
    with pytest.raises(StartRefused):
        spec(plan(person=person))


@pytest.mark.parametrize("path", ["/a,ro=false", '/a"b', "relative", "/a\nb"])
def test_a_path_that_an_engine_could_misread_is_refused(path):
    with pytest.raises(StartRefused) as caught:
        spec(plan(binds=[Bind(path, "/data", True)]))
    assert caught.value.field == "experiments"
    with pytest.raises(StartRefused):
        spec(plan(binds=[Bind("/data", path, True)]))


@pytest.mark.parametrize("name", ["A*", "", "A=B", "1A", "A B"])
def test_an_environment_name_that_podman_would_fill_is_refused(name):
    with pytest.raises(ValueError, match="cannot be passed on"):
        spec(plan(environment={name: "x"}))


def test_another_machine_gets_the_path_and_the_hub_s_own_the_pinned_mount():
    bind = Bind("/run/visa/pins/1", "/data/a1/RAW_DATA", True, "/data/a1/RAW_DATA")
    assert spec(plan(binds=[bind]))["HostConfig"]["Mounts"][0]["Source"] == "/run/visa/pins/1"
    far = NODE.model_copy(update={"engine": "ssh://far"})
    assert spec(plan(binds=[bind]), far)["HostConfig"]["Mounts"][0]["Source"] == "/data/a1/RAW_DATA"


def test_a_recipe_s_name_is_only_a_name():
    assert image_name("localhost/visa/{recipe}:latest", "general") == "localhost/visa/general:latest"
    for name in ("../x", "a b", "x:tag", "registry.example/x", ""):
        with pytest.raises(StartRefused):
            image_name("localhost/visa/{recipe}:latest", name)


def test_a_container_s_name_is_one_whatever_the_owner_s_is():
    assert container_name("here", "Ana María/my-1", "ff") == "visa-here-ana-mar-a-my-1-ff"
    assert container_name("here", "我/s", "ff") == "visa-here-user-s-ff"


def test_a_session_without_a_gpu_is_shown_none_whatever_the_image_says():
    assert "NVIDIA_VISIBLE_DEVICES=void" in spec()["Env"]


def test_a_session_with_gpus_gets_these_and_what_all_share():
    body = spec(gpus=["1"])
    assert [device["PathOnHost"] for device in body["HostConfig"]["Devices"]] == [
        "/dev/nvidia1",
        "/dev/nvidiactl",
    ]
    assert "NVIDIA_VISIBLE_DEVICES=1" in body["Env"]
    assert "CUDA_VISIBLE_DEVICES=0" in body["Env"]


def test_docker_s_nvidia_driver_is_asked_for_each_gpu_by_its_id():
    node = NODE.model_copy(update={"driver": "nvidia"})
    (request,) = spec(node=node, gpus=["0", "1"])["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == ["0", "1"]
    assert share(node, ["1"]).paths == ("/dev/nvidia1",)


def test_what_an_engine_left_out_or_added_is_noticed():
    given = GpuShare(devices=(("/dev/a", "/dev/a"),), request_ids=("0",))
    assert not_given(given, {"Devices": None, "DeviceRequests": None}) == [
        "device /dev/a is missing",
        "GPU 0 is missing",
    ]
    host = {"Devices": [{"PathInContainer": "/dev/a"}, {"PathInContainer": "/dev/b"}]}
    assert not_given(GpuShare(devices=(("/dev/a", "/dev/a"),)), host) == ["device /dev/b was not asked for"]


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_cdi_name_becomes_device_nodes_mounts_and_variables(tmp_path, suffix):
    spec_file = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}},
            {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia1"}]}},
        ],
        "containerEdits": {
            "deviceNodes": [{"path": "/dev/nvidiactl"}],
            "mounts": [{"hostPath": "/usr/lib/libcuda.so.1", "containerPath": "/usr/lib/libcuda.so.1"}],
            "env": ["NVIDIA_DRIVER=1"],
        },
    }
    (tmp_path / f"nvidia.{suffix}").write_text(json.dumps(spec_file))
    node = Node(name="n", engine="unix:///x", cpus=1, memory="1G", gpus={"1": {"cdi": "nvidia.com/gpu=1"}})
    given = share(node, ["1"], [tmp_path])
    assert sorted(given.paths) == ["/dev/nvidia1", "/dev/nvidiactl"]
    assert given.mounts == (("/usr/lib/libcuda.so.1", "/usr/lib/libcuda.so.1"),)
    assert ("NVIDIA_DRIVER", "1") in given.environment
    with pytest.raises(GpuUnknown, match="no CDI file names"):
        share(node, ["1"], [])


def unpack(person, ways):
    return tarfile.open(fileobj=io.BytesIO(files.archive(person, ways)))


def test_names_and_short_ways_are_in_the_archive():
    tar = unpack(
        Person("alice", 5001, 5001, (6001,), "/data/home/alice"),
        {"/experiments/a1/raw": "/data/visitor/a1/RAW_DATA"},
    )
    lines = tar.extractfile("etc/passwd").read().decode().splitlines()
    assert "alice:x:5001:5001::/data/home/alice:/bin/bash" in lines
    groups = tar.extractfile("etc/group").read().decode().splitlines()
    assert {"alice:x:5001:", "g6001:x:6001:alice"} <= set(groups)
    assert tar.getmember("experiments/a1/raw").linkname == "/data/visitor/a1/RAW_DATA"
    assert tar.getmember("experiments/a1").isdir()
    assert all((entry.uid, entry.gid) == (0, 0) for entry in tar.getmembers())
    assert all(abs(entry.mtime - time.time()) < 60 for entry in tar.getmembers()), "not of the year 1970"


@pytest.mark.parametrize(
    "username", ["root", "a:0:0", "x\nevil:x:0:0::/:/bin/sh", "nobody", "", "../..", "我"]
)
def test_no_username_makes_a_second_line_or_takes_a_system_name(username):
    text = files.passwd(Person(username, 5001, 5001, (), "/data/home/x"))
    lines = [line.split(":") for line in text.splitlines()]
    assert all(len(fields) == 7 for fields in lines)
    names = [fields[0] for fields in lines]
    assert len(names) == len(set(names))
    assert [fields[0] for fields in lines if fields[2] == "0"] == ["root"]
    assert sum(fields[2] == "5001" for fields in lines) == 1


def test_a_home_that_would_make_a_second_field_is_refused():
    with pytest.raises(ValueError, match="home"):
        files.passwd(Person("x", 5001, 5001, (), "/a:/b"))


@pytest.mark.parametrize(
    "link", ["/etc/shadow", "/experiments/../etc/x", "relative/x", "/top", "/usr/bin/sudo"]
)
def test_a_short_way_cannot_stand_elsewhere(link):
    with pytest.raises(ValueError, match="short way"):
        files.archive(Person("x", 5001, 5001, (), "/h"), {link: "/data"})


def test_how_a_session_ended_is_said():
    def ended(code, out_of_memory=False, started=True):
        return words.of_end(code, out_of_memory=out_of_memory, memory=16 << 30, started=started)

    assert "more than its 16 GB of memory" in ended(137, out_of_memory=True).words
    assert "16 GB" in ended(137).words
    assert "raw data" in ended(71).words
    assert "GPU" in ended(72).words
    assert ended(0).state is State.STOPPED
    assert ended(0, out_of_memory=True).words == "The session ended."
    assert ended(0, started=False).state is State.FAILED
    assert "code 3" in ended(3).words


def test_log_lines_cannot_act_on_a_terminal():
    assert words.clean_lines(b"a\n\x1b[31mred\x1b[0m\x07\n" + b"x" * 900, 2) == ["red", "x" * 500]
    assert words.clean_lines(b"a", 0) == []
