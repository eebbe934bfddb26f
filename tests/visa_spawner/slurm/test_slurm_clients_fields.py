"""What Slurm's commands print, read back: whatever others write into it, each job stays itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visa_spawner.backends.slurm.clients import commands, fields, native
from visa_spawner.backends.slurm.clients.fields import BrokenOff, Separators, Unreadable
from visa_spawner.backends.slurm.job import is_of, new_mark

MARK = new_mark("here")
#: Whatever bytes somebody may write into a comment; a C string ends at a zero.
anything = st.binary(max_size=300).map(lambda text: text.replace(b"\0", b""))
lies = st.sampled_from(
    [
        MARK.encode(),
        b"\n" + MARK.encode(),
        MARK.encode() + b"0",
        b"<>,|\n12 34",
        b"\n7<abc>0<abc>COMPLETED<abc>\n",
        b"\xff\xfe\x80",
        b"\x1b[2J\r\n\t",
        b"A" * 100_000,
    ]
)


def row(number=5, uid=1000, state="RUNNING", comment=b"", **other) -> list[bytes]:
    """The values squeue would print for one job, in the order of JOB_FIELDS."""
    values = {
        "reason": b"None",
        "partition": b"main",
        "priority": b"4294901759",
        "host": b"n1",
        "submitted": b"1795968000",
        "start": b"1795968060",
        "end": b"1795975260",
        "limit": b"2:00:00",
        "restarts": b"0",
        "code": b"0",
        "tasks": b"N/A",
    } | other
    return [b"%d" % number, b"%d" % uid, state.encode(), *values.values(), comment]


def printed(separators: Separators, rows: list[list[bytes]]) -> bytes:
    """As squeue writes it: a right-justified field is filled up or cut, and a line ends each record."""
    out = b""
    for values in rows:
        for name, value in zip(fields.JOB_FIELDS, values, strict=True):
            _, _, width = name.partition(":.")
            if width:
                value = (value or b"(null)").rjust(int(width))[: int(width)]
            out += (
                value + (separators.behind if name == fields.JOB_FIELDS[-1] else separators.between).encode()
            )
        out += b"\n"
    return out


def read(separators: Separators, text: bytes, skipped=None):
    def one(record):
        return fields.read_job(separators.fields(record, len(fields.JOB_FIELDS)))

    return list(fields.read_each(separators, text, one, (lambda words: None) if skipped is None else skipped))


def test_a_job_is_read_whole():
    separators = Separators()
    text = printed(separators, [row(comment=MARK.encode(), restarts=b"2")])
    (job,) = read(separators, text)
    assert (job.id, job.uid, job.mark, job.state, job.restarts) == (5, 1000, MARK, "RUNNING", 2)
    assert job.submitted == datetime.fromtimestamp(1795968000, UTC)
    assert job.limit == timedelta(hours=2)
    assert job.end - job.start == job.limit
    assert (job.host, job.partition, job.reason, job.tasks) == ("n1", "main", "", 1)


@given(comments=st.lists(anything | lies, max_size=6), reason=anything)
def test_nobodys_text_makes_another_job(comments, reason):
    separators = Separators()
    rows = [row(number, comment=comment, reason=reason) for number, comment in enumerate(comments, 1)]
    jobs = read(separators, printed(separators, rows))
    assert [(job.id, job.uid, job.state) for job in jobs] == [(row[0], 1000, "RUNNING") for row in _ids(rows)]
    for job, comment in zip(jobs, comments, strict=True):
        assert is_of(job.mark, "here") == (comment.strip(b" ") == MARK.encode())


def test_the_longest_mark_is_read_whole_and_a_longer_comment_is_none():
    longest = new_mark("h" * 32)
    separators = Separators()
    rows = [row(1, comment=longest.encode()), row(2, comment=longest.encode() + b"0")]
    own, other = read(separators, printed(separators, rows))
    assert own.mark == longest
    assert not is_of(other.mark, "h" * 32)


def _ids(rows):
    return [(int(values[0]),) for values in rows]


@given(text=st.binary(max_size=500))
def test_what_is_no_answer_is_taken_for_none(text):
    if text.strip():
        with pytest.raises(BrokenOff):
            read(Separators(), text)
    else:
        assert read(Separators(), text) == []


@given(texts=st.lists(st.binary(max_size=80), max_size=5))
def test_what_is_no_record_is_left_out_and_told(texts):
    separators, told = Separators(), []
    assert read(separators, b"".join(text + separators.behind.encode() for text in texts), told.append) == []
    assert len(told) == len(texts)


@given(share=st.floats(0, 1), comment=anything | lies)
def test_an_answer_that_broke_off_is_none_or_whole_records(share, comment):
    separators = Separators()
    whole = printed(separators, [row(1, comment=comment), row(2, comment=comment), row(3)])
    try:
        jobs = read(separators, whole[: int(share * len(whole))])
    except BrokenOff:
        return
    assert jobs == read(separators, whole)[: len(jobs)]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"number": 0}, "id"),
        ({"state": "RUN NING"}, "state"),
        ({"state": "running"}, "state"),
        ({"priority": b"many"}, "priority"),
        ({"restarts": b""}, "restarts"),
    ],
)
def test_a_job_with_a_field_that_is_none_is_left_out(values, what):
    separators, told = Separators(), []
    jobs = read(separators, printed(separators, [row(**values), row(7)]), told.append)
    assert [job.id for job in jobs] == [7], what
    assert len(told) == 1
    assert separators.between not in told[0]


@pytest.mark.parametrize("word", [b"N/A", b"Unknown", b"None", b"NONE", b"", b"0", b"-5", b"99999999999"])
def test_words_that_stand_for_no_time(word):
    separators = Separators()
    (job,) = read(separators, printed(separators, [row(submitted=word, start=word, end=word)]))
    assert (job.submitted, job.start, job.end) == (None, None, None)


@pytest.mark.parametrize(
    ("word", "limit"),
    [
        (b"5:00", timedelta(minutes=5)),
        (b"1:00:00", timedelta(hours=1)),
        (b"14-00:00:00", timedelta(days=14)),
        (b"365-00:00:00", timedelta(days=365)),
        (b"UNLIMITED", None),
        (b"NOT_SET", None),
        (b"INVALID", None),
        (b"Partition_Limit", None),
    ],
)
def test_time_limits(word, limit):
    separators = Separators()
    assert read(separators, printed(separators, [row(limit=word)]))[0].limit == limit


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        ("FAILED", b"19200", (75, 0)),
        ("FAILED", b"75:0", (75, 0)),
        ("FAILED", b"9", (0, 9)),
        ("FAILED", b"0:9", (0, 9)),
        ("FAILED", b"36608", (143, 0)),
        ("COMPLETED", b"0", (0, 0)),
        ("COMPLETED", b"", (0, 0)),
        ("PENDING", b"-2", (0, 0)),
        ("RUNNING", b"256", (0, 0)),
    ],
)
def test_exit_codes_mean_something_once_a_job_ended(state, code, expected):
    separators = Separators()
    (job,) = read(separators, printed(separators, [row(state=state, code=code)]))
    assert (job.exit_code, job.signal) == expected


def test_uids_beyond_31_bits_are_printed_as_negative_numbers():
    separators = Separators()
    (job,) = read(separators, printed(separators, [row(uid=3_000_000_000 - (1 << 32))]))
    assert job.uid == 3_000_000_000


@pytest.mark.parametrize("state", ["PENDING", "REQUEUED", "SPECIAL_EXIT"])
def test_a_job_that_waits_has_no_host_and_no_end(state):
    separators = Separators()
    (job,) = read(separators, printed(separators, [row(state=state, host=b"n3")]))
    assert (job.host, job.end) == ("", None)


@pytest.mark.parametrize(
    ("text", "count"),
    [("N/A", 1), ("", 1), ("7", 1), ("1-500%3", 500), ("1,4-6,10-20:5%2", 7), ("1,3,5,...", 3), ("9-1", 1)],
)
def test_waiting_tasks_of_an_array_are_counted(text, count):
    assert fields.count_tasks(text) == count


@given(st.text(max_size=60))
def test_counting_never_fails(text):
    assert fields.count_tasks(text) >= 1
    assert all(count >= 0 for count in fields.count_gpus(text).values())


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:a100:2", {"a100": 2}),
        ("gpu:a100:2(S:0-1),gpu:v100:1(S:0),craynetwork:4", {"a100": 2, "v100": 1}),
        ("gpu:4", {"": 4}),
        ("gpu:a100:1(IDX:0),gpu:v100:0(IDX:N/A)", {"a100": 1, "v100": 0}),
        ("gpu:a100:3(IDX:0,2,3),gpu:2(IDX:4-5)", {"a100": 3, "": 2}),
        ("shard:8,mygpu:3,license:gpu:2", {}),
        ("(null)", {}),
        ("", {}),
    ],
)
def test_gpus_are_counted_by_type(gres, gpus):
    assert fields.count_gpus(gres) == gpus


def node(name="n1", states="mixed", partition="main*", available="up", reason="none", **other):
    values = {"cpus": "2/6/0/8", "memory": "24000", "taken": "1000", "gres": "gpu:a100:2"} | other
    values |= {"used": other.get("used", "gpu:a100:1(IDX:1)"), "reason": reason}
    return fields.read_node([name, "10.0.0.1", states, partition, available, *values.values()])


def test_a_node_tells_what_is_free():
    read_node = node()
    assert (read_node.cpus, read_node.free_cpus) == (8, 6)
    assert read_node.memory == 24000 << 20
    assert read_node.free_memory == 23000 << 20
    assert (read_node.gpus, read_node.free_gpus) == ({"a100": 2}, {"a100": 1})
    assert (read_node.partitions, read_node.default_partition) == (frozenset(["main"]), "main")
    assert read_node.closed_partitions == frozenset()


@pytest.mark.parametrize("states", ["idle+drain", "down+not_responding", "idle+maintenance", "idle+reserved"])
def test_a_node_that_takes_no_jobs_has_nothing_free(states):
    read_node = node(states=states, reason="fans\x1b[2J")
    assert not read_node.open
    assert (read_node.free_cpus, read_node.free_memory, read_node.free_gpus) == (0, 0, {})


def test_a_node_is_one_in_all_its_partitions():
    both = fields.in_all_partitions([node(), node(partition="gpu", available="down"), node("n2")])
    assert [one.name for one in both] == ["n1", "n2"]
    assert both[0].partitions == {"main", "gpu"}
    assert both[0].default_partition == "main"
    assert both[0].closed_partitions == {"gpu"}


@pytest.mark.parametrize("values", [{"name": ""}, {"cpus": "8"}, {"cpus": "a/b/c/d"}, {"memory": "some"}])
def test_what_is_no_node_is_refused(values):
    with pytest.raises(Unreadable):
        node(**values)


def ended(state="CANCELLED by 0", comment="", code="0:0", number="12"):
    times = ("1795968000", "1795968060", "1795975260")
    return [number, "1000", comment, state, "None", "main", "n1", *times, "120", code]


@given(comments=st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_accounting_is_read_whatever_the_comments(comments):
    between = Separators().between
    rows = [ended(comment=text, number=str(number)) for number, text in enumerate(comments, 12)]
    text = "".join(between.join(values) + "\n" for values in rows)
    client = commands.CommandsClient("/usr/bin", "", limit=1)
    jobs = list(client._ended(text, between))
    assert [(job.id, job.uid, job.state, job.cancelled_by) for job in jobs] == [
        (number, 1000, "CANCELLED", 0) for number, _ in enumerate(comments, 12)
    ]


def test_accounting_tells_how_and_by_whom():
    job = fields.read_ended(ended("CANCELLED by 1000"))
    assert (job.state, job.cancelled_by, job.host) == ("CANCELLED", 1000, "n1")
    job = fields.read_ended(ended("FAILED", code="75:0"))
    assert (job.state, job.cancelled_by, job.exit_code) == ("FAILED", None, 75)


def helper_row(**other) -> list:
    values = dict(
        zip(
            (
                "number",
                "uid",
                "mark",
                "state",
                "reason",
                "partition",
                "priority",
                "host",
                "submitted",
                "start",
            ),
            (5, 1000, MARK, "RUNNING", "None", "main", 100, "n1", 1795968000, 1795968060),
            strict=True,
        )
    )
    values |= {"end": 1795975260, "limit": 120, "restarts": 0, "code": 0, "signal": 0, "tasks": None}
    return list((values | other).values())


def test_both_clients_read_the_same_job():
    separators = Separators()
    (job,) = read(separators, printed(separators, [row(comment=MARK.encode(), priority=b"100")]))
    assert native.read_job(helper_row()) == job


@pytest.mark.parametrize("values", [{"number": None}, {"uid": None}, {"state": ""}])
def test_the_helpers_word_for_no_job_is_refused(values):
    with pytest.raises(Unreadable):
        native.read_job(helper_row(**values))
