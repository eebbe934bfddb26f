import pytest
from hypothesis import given
from hypothesis import strategies as st

from visa_spawner.backends.nodes import Node
from visa_spawner.backends.placement import NoRoom, Placement, Taken
from visa_spawner.session import Resources

GB = 1 << 30


def make_node(name, cpus=8, memory=64, gpus=(), **fields):
    return Node(
        name=name,
        engine="unix:///run/x.sock",
        cpus=cpus,
        memory=memory * GB,
        gpus={
            f"{number}": {"type": kind, "devices": [f"/dev/gpu{number}"]} for number, kind in enumerate(gpus)
        },
        **fields,
    )


def books(*nodes):
    return Placement(nodes, answering={node.name for node in nodes})


def need(cpus=1, memory=1, gpus=0, gpu_type=""):
    return Resources(cpus, memory * GB, gpus, gpu_type)


def test_without_a_gpu_a_session_stays_off_gpu_nodes():
    placement = books(make_node("gpu", cpus=64, memory=512, gpus=["a100"]), make_node("plain"))
    assert placement.reserve("c", need()).node == "plain"


def test_gpus_are_taken_where_fewest_are_left_over():
    placement = books(make_node("four", gpus=["a100"] * 4), make_node("one", gpus=["a100"]))
    assert placement.reserve("c", need(gpus=1)).node == "one"
    assert placement.reserve("d", need(gpus=4)).gpus == ("0", "1", "2", "3")


def test_of_two_alike_the_one_with_more_free_memory_is_taken():
    placement = books(make_node("a"), make_node("b"))
    assert [placement.reserve(name, need(memory=4)).node for name in "cd"] == ["a", "b"]


def test_a_type_that_is_asked_for_is_the_type_that_is_given():
    placement = books(make_node("n", gpus=["t4", "a100"]))
    assert placement.reserve("c", need(gpus=1, gpu_type="a100")).gpus == ("1",)
    with pytest.raises(NoRoom, match="The only GPU of this kind is in use."):
        placement.reserve("d", need(gpus=1, gpu_type="a100"))


def test_any_type_means_one_type_where_that_is_possible():
    placement = books(make_node("n", gpus=["t4", "a100", "t4", "a100", "a100"]))
    assert placement.reserve("c", need(gpus=2)).gpus == ("0", "2")
    assert placement.reserve("d", need(gpus=3)).gpus == ("1", "3", "4")


@pytest.mark.parametrize(
    ("taken", "wanted", "words"),
    [
        ([], need(gpus=3), "No node of this facility is large enough for this plan."),
        ([], need(cpus=9), "No node of this facility is large enough for this plan."),
        ([], need(gpus=1, gpu_type="h100"), "No node of this facility is large enough for this plan."),
        ([need(gpus=2)], need(gpus=1), "All 2 GPUs of this kind are in use."),
        ([need(gpus=1)], need(gpus=2), "Only 1 of 2 GPUs of this kind is free."),
        ([need(memory=60)], need(memory=8), "The memory of the nodes for this plan is in use."),
        ([need(cpus=7.5)], need(cpus=1), "The cores of the nodes for this plan are in use."),
    ],
)
def test_why_there_is_no_room_is_said(taken, wanted, words):
    placement = books(make_node("n", gpus=["a100", "a100"]))
    for number, resources in enumerate(taken):
        placement.reserve(f"c{number}", resources)
    with pytest.raises(NoRoom) as caught:
        placement.reserve("x", wanted)
    assert caught.value.words == words
    assert caught.value.never == words.startswith("No node")
    assert placement.availability(wanted).words == words
    assert placement.availability(wanted).sessions == 0


def test_a_silent_or_a_drained_node_takes_nothing_new():
    placement = books(make_node("n"))
    placement.silent("n")
    assert placement.availability(need()).words == "The nodes for this plan do not answer at the moment."
    drained = books(make_node("n", drained=True))
    assert drained.availability(need()).words == "The nodes for this plan are being emptied for maintenance."


def test_a_node_that_an_administrator_closed_takes_nothing_new_and_keeps_what_it_has():
    closed = {}
    placement = books(make_node("a"), make_node("b", memory=32))
    placement.closed = closed.get
    assert placement.reserve("c", need()).node == "a"
    closed["a"] = "New memory on Monday."
    assert placement.reserve("d", need()).node == "b"
    closed["b"] = ""
    with pytest.raises(NoRoom) as caught:
        placement.reserve("e", need())
    words = "The nodes for this plan are being emptied for maintenance. New memory on Monday."
    assert (caught.value.words, caught.value.closed, caught.value.never) == (words, True, False)
    assert placement.availability(need()).words == words
    assert set(placement.taken) == {"c", "d"}
    closed.clear()
    assert placement.reserve("e", need()).node == "a"


def test_what_an_engine_lists_counts_and_what_it_does_not_is_given_back():
    placement = Placement((make_node("n", gpus=["a100", "a100"]),))
    placement.follow("n", {"old": Taken("n", 1, GB, ("0",))}, claimed=())
    assert placement.reserve("new", need(gpus=1)).gpus == ("1",)
    placement.follow("n", {}, claimed={"new"})
    assert set(placement.taken) == {"new"}


def test_availability_counts_what_could_start():
    placement = books(make_node("a", cpus=4, memory=64), make_node("b", cpus=8, memory=2))
    assert placement.availability(need(cpus=2, memory=1)).words == "Room for 4 now."


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 40),
            st.builds(need, st.sampled_from([0.1, 0.5, 1, 3]), st.integers(1, 9), st.integers(0, 3)),
        )
    )
)
def test_nothing_is_ever_given_twice(steps):
    placement = books(make_node("a", cpus=4, memory=16, gpus=["x", "y"]), make_node("b", gpus=["x"] * 4))
    for number, (release, other, resources) in enumerate(steps):
        if release:
            placement.release(f"c{other}")
            continue
        room = placement.availability(resources).sessions
        try:
            placement.reserve(f"c{number}", resources)
        except NoRoom:
            assert room == 0
        else:
            assert placement.availability(resources).sessions == room - 1
        for node in placement.nodes:
            here = [taken for taken in placement.taken.values() if taken.node == node.name]
            gpus = [gpu for taken in here for gpu in taken.gpus]
            assert len(gpus) == len(set(gpus))
            assert sum(taken.memory for taken in here) <= node.memory
            assert sum(taken.cpus for taken in here) <= node.cpus + 1e-6
