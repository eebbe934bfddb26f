import pytest
from traitlets import TraitError
from traitlets.config import Config

from visa_spawner.backends.fleet import Fleet
from visa_spawner.backends.nodes import read_nodes

GOOD = {"name": "gpu01", "engine": "unix:///run/podman/podman.sock", "cpus": 8, "memory": "64G"}
TLS = {"ca": "/etc/ca.pem", "cert": "/etc/cert.pem", "key": "/etc/key.pem"}


def test_a_node_is_read_with_its_units():
    (node,) = read_nodes([{**GOOD, "gpus": {"0": {"type": "a100", "devices": ["/dev/nvidia0"]}}}])
    assert node.memory == 64 << 30
    assert node.is_local
    assert node.host == "127.0.0.1"
    assert node.gpus["0"].devices == ("/dev/nvidia0",)


def test_another_machine_is_not_local_and_is_reached_by_its_name():
    far, shared = read_nodes(
        [
            {**GOOD, "engine": "tcp://gpu01.example:2376", "tls": TLS},
            {**GOOD, "name": "b", "engine": "ssh://visa@gpu02.example"},
        ]
    )
    assert (far.is_local, far.host) == (False, "gpu01.example")
    assert (shared.is_local, shared.host) == (False, "gpu02.example")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory": "lots"}, "nodes[0] (gpu01): memory: "),
        ({"memory": True}, "nodes[0] (gpu01): memory: "),
        ({"memory": 0}, "nodes[0] (gpu01): memory: "),
        ({"memory": ""}, "nodes[0] (gpu01): memory: "),
        ({"cpus": -1}, "nodes[0] (gpu01): cpus: "),
        ({"engine": "http://x"}, "nodes[0] (gpu01): engine: "),
        ({"engine": "unix://relative/x"}, "nodes[0] (gpu01): engine: "),
        ({"engine": "ssh://-oProxyCommand=x"}, "nodes[0] (gpu01): engine: "),
        ({"engine": "ssh://a:secret@host"}, "never a password"),
        ({"engine": "tcp://host:2375"}, "tls is required"),
        ({"tls": TLS}, "only a tcp:// engine"),
        ({"engine": "ssh://far", "network": "published"}, "address: network published needs"),
        ({"network": "host", "address": "gpu01.example"}, "address: network host needs"),
        ({"name": "a b"}, "nodes[0] (a b): name: "),
        ({"colour": "red"}, "nodes[0] (gpu01): colour: "),
        ({"gpus": {"0": {"type": "a100"}}}, "gpus.0.devices: needed"),
        ({"gpus": {"0": {"devices": ["nvidia0"]}}}, "nodes[0] (gpu01): gpus.0.devices.0: "),
        ({"gpus": {"0": {"devices": ["/dev/a"]}, "1": {"devices": ["/dev/a"]}}}, "under two GPUs"),
        ({"gpus": {"0,1": {"devices": ["/dev/a"]}}}, "nodes[0] (gpu01): gpus.0,1"),
        (
            {"engine": "ssh://host", "gpus": {"0": {"cdi": "nvidia.com/gpu=0"}}},
            "CDI files are read on the hub's machine",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_node(change, message):
    with pytest.raises(ValueError) as caught:
        read_nodes([{**GOOD, **change}])
    assert message in str(caught.value)


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match=r"nodes\[1\] \(gpu01\): name: another node has it"):
        read_nodes([GOOD, GOOD])


def test_the_setting_itself_says_so_at_the_hub_start():
    config = Config()
    config.ContainerBackend.hub_id = "here"
    config.ContainerBackend.nodes = [{**GOOD, "cpus": "many"}]
    with pytest.raises(TraitError, match=r"ContainerBackend.nodes\[0\] \(gpu01\): cpus"):
        Fleet.of(config)


@pytest.mark.parametrize("hub_id", ["", "Two Words", "-x", "a" * 33])
def test_a_hub_without_a_name_of_its_own_cannot_use_engines(hub_id):
    config = Config()
    config.ContainerBackend.hub_id = hub_id
    config.ContainerBackend.nodes = [GOOD]
    with pytest.raises(TraitError, match="hub_id"):
        Fleet.of(config)
