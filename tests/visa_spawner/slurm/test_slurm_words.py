"""Every state and reason of Slurm's is a sentence that says what is and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visa_session import contract
from visa_spawner.backends.slurm import reasons, words
from visa_spawner.backends.slurm.queue import Queue
from visa_spawner.backends.slurm.seen import ENDED, WAITING, Job
from visa_spawner.session import State

NOW = datetime(2026, 11, 29, 12, 5, tzinfo=UTC)
GIB = 1 << 30
WAITS = Job(
    id=7,
    uid=1000,
    mark="visa:here:" + "0" * 32,
    state="PENDING",
    reason="Resources",
    partition="main",
    priority=100,
    submitted=NOW - timedelta(hours=1),
    limit=timedelta(hours=8),
)
RUNS = replace(
    WAITS,
    state="RUNNING",
    reason="",
    host="n1",
    start=NOW - timedelta(minutes=5),
    end=NOW + timedelta(hours=8),
)
#: Every state that `squeue` of 22.05 and later writes.
STATES = (
    *("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"),
    *("CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING", "SUSPENDED", "STOPPED"),
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT", "?"),
)
#: Every reason that 22.05 has, and what came until 25.11.
REASONS = """
None Prolog Priority Dependency Resources PartitionNodeLimit PartitionTimeLimit PartitionDown
PartitionInactive JobHeldAdmin JobHeldUser BeginTime Licenses AssociationJobLimit
AssociationResourceLimit AssociationTimeLimit Reservation ReqNodeNotAvail FrontEndDown SchedDefer
NodeDown BadConstraints SystemFailure JobLaunchFailure NonZeroExitCode TimeLimit InactiveLimit
InvalidAccount InvalidQOS QOSUsageThreshold QOSJobLimit QOSResourceLimit QOSTimeLimit BlockMaxError
BlockFreeAction Cleaning QOSNotAllowed AccountNotAllowed DependencyNeverSatisfied QOSGrpCpuLimit
QOSGrpCPUMinutesLimit QOSGrpCPURunMinutesLimit QOSGrpMemLimit QOSGrpNodeLimit QOSGrpSubmitJobsLimit
QOSGrpWallLimit QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit QOSMaxNodePerJobLimit
QOSMaxWallDurationPerJobLimit QOSMaxCpuPerUserLimit QOSMaxJobsPerUserLimit QOSMaxNodePerUserLimit
QOSMaxSubmitJobPerUserLimit QOSMinCpuNotSatisfied AssocGrpCpuLimit AssocGrpCPUMinutesLimit
AssocGrpCPURunMinutesLimit AssocGrpMemLimit AssocGrpNodeLimit AssocGrpSubmitJobsLimit AssocGrpWallLimit
AssocMaxJobsLimit AssocMaxCpuPerJobLimit AssocMaxCpuMinutesPerJobLimit AssocMaxNodePerJobLimit
AssocMaxWallDurationPerJobLimit AssocMaxSubmitJobLimit JobHoldMaxRequeue JobArrayTaskLimit
BurstBufferResources BurstBufferStageIn BurstBufferOperation PowerNotAvail PowerReserved AssocGrpUnknown
AssocMaxUnknownPerJob AssocMaxCpuPerNode AssocGrpMemMinutes AssocMaxMemPerJob AssocGrpEnergy AssocGrpGRES
AssocMaxGRESPerJob AssocGrpLicense AssocGrpBB AssocMaxBBPerNode QOSGrpUnknown QOSMaxUnknownPerUser
QOSMinUnknown QOSMaxMemoryPerUser QOSMinMemory QOSMinNode QOSMaxEnergyPerUser QOSGrpGRES
QOSMaxGRESPerUser QOSMinGRES QOSGrpLicense QOSMaxLicensePerUser QOSGrpBB QOSMinBB DeadLine
MaxBBPerAccount MaxCpuPerAccount MaxGRESPerAccount MaxNodePerAccount MaxMemoryPerAccount
MaxJobsPerAccount MaxSubmitJobsPerAccount PartitionConfig AccountingPolicy FedJobLock OutOfMemory
MaxMemPerLimit AssocGrpBilling AssocGrpBillingRunMinutes QOSMaxBillingPerUser QOSMinBilling
ReservationDeleted AssocGrpJobsLimit Constraints InvalidReason MaxBBRunMinsPerAccount
MaxCpuRunMinsPerUser MaxPoweredUpNodes MpiPortsBusy NvidiaImexChannels QOSGrpJobsLimit RaisedSignal
ReservationInvalid
""".split()


def queue(*others: Job) -> Queue:
    return Queue([WAITS, *others])


def say(job: Job, *others: Job, memory: int = 16 * GIB):
    return words.status_of(job, queue(*others), memory=memory, now=NOW)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("host", ["", "n1"])
def test_every_state_is_said(state, host):
    status = say(replace(RUNS, state=state, host=host, restarts=1))
    assert status.words.endswith(".")
    assert status.words[0].isupper()
    assert status.queued == (state in WAITING)
    if state in ENDED:
        assert status.state is (State.STOPPED if state == "COMPLETED" else State.FAILED)
        assert status.since == RUNS.end
        assert state == "COMPLETED" or "tart" in status.words or "staff" in status.words, "what to do next"
    else:
        assert status.state in (State.STARTING, State.RUNNING, State.SUSPENDED, State.STOPPING)
    assert status.state is not State.UNKNOWN, "only silence is unknown"


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_said_in_plain_words(reason):
    sentence = reasons.sentence(reason)
    assert "`" not in sentence or reason == "JobHeldUser"
    assert not sentence or sentence.endswith(".")
    assert reason not in sentence.split() or reason == "None"


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("QOSMaxJobsPerUserLimit", "You already use as many jobs as may be at a time."),
        ("QOSMaxGRESPerUser", "You already use as many GPUs as may be at a time."),
        ("AssocMaxJobsLimit", "You already use as many jobs as may be at a time."),
        ("AssocGrpCpuLimit", "Your project already uses as many cores as may be at a time."),
        ("AssocGrpGRESMinutes", "Your project already uses all the hours given for now on the cluster."),
        ("MaxMemoryPerAccount", "Your project already uses as much memory as may be at a time."),
        ("QOSGrpNodeLimit", "Everybody on plans of this kind together already uses as many machines"),
        ("QOSMaxWallDurationPerJobLimit", "It asks for more hours than one job may have."),
        ("QOSMaxCpuMinutesPerJobLimit", "It asks for its cores for longer than one job may."),
        ("AssocMaxUnknownPerJob", "It asks for more than one job may have."),
        ("QOSMinGRES", "It asks for fewer GPUs than such a plan must."),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "Machines that it needs are down"),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher",
            "Machines that it needs are",
        ),
        ("launch failed requeued held", "Its machine could not start it"),
        ("Job is at or exceeds QOS x's group max TRES(cpu) minutes of 1 with 2", "Your project has used"),
    ],
)
def test_some_reasons(reason, sentence):
    assert reasons.sentence(reason).startswith(sentence)


def test_an_unknown_reason_is_told_in_slurms_own_words():
    assert reasons.sentence("MoonPhase") == "The cluster gives `MoonPhase` as the reason."


@given(st.text(max_size=400))
def test_no_reason_breaks_the_sentence(reason):
    sentence = reasons.sentence(reason)
    assert sentence.isprintable()
    assert len(sentence) < 300


def test_the_place_in_the_queue_and_the_expected_start():
    ahead = [replace(WAITS, id=number, priority=200) for number in (1, 2)]
    behind = [replace(WAITS, id=number) for number in range(8, 17)]
    expected = replace(WAITS, start=NOW + timedelta(hours=2))
    assert say(expected, *ahead, *behind).words.startswith(
        "Waiting in the queue: 3rd of 12, expected to start at 14:05 UTC. It starts as soon as"
    )
    tomorrow = replace(WAITS, start=NOW + timedelta(days=1))
    assert "3rd of 12, expected to start on 30 Nov 2026, 12:05 UTC." in say(tomorrow, *ahead, *behind).words


def test_an_expected_start_that_is_past_is_not_told():
    assert "expected" not in say(replace(WAITS, start=NOW - timedelta(minutes=1))).words


def test_what_stands_in_no_line_has_no_place():
    held = replace(WAITS, priority=0, reason="JobHeldUser")
    assert words.status_of(held, Queue([held]), now=NOW).words.startswith(
        "Waiting in the queue. It was held back"
    )
    later = replace(WAITS, reason="BeginTime", start=NOW + timedelta(minutes=2))
    assert words.status_of(later, Queue([later]), now=NOW).words == (
        "Waiting in the queue. It may begin at 12:07 UTC at the earliest."
    )


def test_put_back_into_the_queue():
    status = say(replace(WAITS, restarts=1))
    assert status.state is State.STARTING
    assert "put it back into the queue, and starts it again by itself" in status.words
    assert words.starts_again(replace(RUNS, restarts=1)) == (
        "The cluster starts the session again on n1, for the 2nd time."
    )


@pytest.mark.parametrize(("state", "said"), [("SUSPENDED", "has suspended"), ("STOPPED", "were stopped")])
def test_what_stands_still_is_suspended(state, said):
    status = say(replace(RUNS, state=state))
    assert status.state is State.SUSPENDED and status.held
    assert said in status.words


@pytest.mark.parametrize(
    ("job", "memory", "text"),
    [
        (replace(RUNS, state="OUT_OF_MEMORY"), 16 * GIB, "used more than its 16 GB of memory"),
        (replace(RUNS, state="OUT_OF_MEMORY"), 0, "used more than the memory it had"),
        (replace(RUNS, state="TIMEOUT"), 0, "used all of its 8 hours"),
        (replace(RUNS, state="TIMEOUT", limit=None), 0, "used all of its time"),
        (replace(RUNS, state="NODE_FAIL"), 0, "failed (n1)"),
        (replace(RUNS, state="CANCELLED"), 0, "by you or by the cluster's staff"),
        (replace(RUNS, state="CANCELLED", cancelled_by=0), 0, "by its administrator"),
        (replace(RUNS, state="CANCELLED", cancelled_by=1000), 0, "under your own account"),
        (replace(RUNS, state="CANCELLED", cancelled_by=4711), 0, "account 4711"),
        (replace(RUNS, state="FAILED", exit_code=1), 0, "ended by itself (code 1)"),
        (replace(RUNS, state="FAILED", exit_code=contract.EXIT_GPU_MISSING), 0, "did not find the GPU"),
        (replace(RUNS, state="FAILED", exit_code=contract.EXIT_NO_TOKEN), 0, "did not answer for it in time"),
        (replace(RUNS, state="FAILED", signal=9), GIB, "more than its 1 GB of memory is the usual reason"),
        (replace(RUNS, state="FAILED", signal=9), 0, "was killed on n1"),
        (replace(RUNS, state="FAILED", reason="JobLaunchFailure"), 0, "could not run the session on n1"),
        (replace(RUNS, state="FAILED", reason="SystemFailure"), 0, "could not run the session on n1"),
    ],
)
def test_how_it_ended(job, memory, text):
    status = say(job, memory=memory)
    assert text in status.words
    assert status.state is State.FAILED


def test_a_process_that_ended_by_itself_has_stopped():
    assert say(replace(RUNS, state="COMPLETED")).state is State.STOPPED


def test_silence_says_since_when():
    then = datetime(2021, 11, 29, 12, 5, tzinfo=UTC)
    status = words.unknown(then)
    assert (status.state, status.since) == (State.UNKNOWN, then)
    assert "since 29 Nov 2021, 12:05 UTC" in status.words


@pytest.mark.parametrize("state", STATES)
def test_only_what_slurm_calls_running_has_begun(state):
    begun = words.has_begun(replace(RUNS, state=state))
    assert begun == (state in "RUNNING SUSPENDED STOPPED SIGNALING RESIZING COMPLETING STAGE_OUT".split())


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (121, "121st")],
)
def test_ordinals(number, text):
    assert words.ordinal(number) == text


@pytest.mark.parametrize("reason", REASONS)
def test_what_never_starts_is_not_said_to_wait(reason):
    said = say(replace(WAITS, reason=reason)).words
    stays = "Stop it" in said
    assert said.startswith("The session cannot start as it is." if stays else "Waiting in the queue"), said
