"""What the launcher makes of Slurm's own words (src/common/slurm_errno.c)."""

from __future__ import annotations

import pytest

from visa_spawner.backends.slurm.launch.refusals import of_slurm, own_words

WORDS = {
    "silent": [
        "Unable to contact slurm controller (connect failure)",
        "Socket timed out on send/recv operation",
        "Zero Bytes were transmitted or received",
        "Slurm backup controller in standby mode",
        "Unable to create job record, try again",
        "Protocol authentication error",
        "sbatch: error: If munged is up, restart with --num-threads=10\n"
        'sbatch: error: Munge encode failed: Failed to access "x": No such file or directory',
    ],
    "partition": [
        "Invalid partition name specified",
        "User's group not permitted to use this partition",
        "Required partition not available (inactive or drain)",
        "No partition specified or system default partition",
    ],
    "account": ["Invalid account or account/partition combination specified"],
    "qos": ["Invalid qos specification"],
    "reservation": ["Requested reservation is invalid", "Access denied to requested reservation"],
    "resources": [
        "Requested node configuration is not available",
        "Invalid generic resource (gres) specification",
        "Invalid GRES specification (with and without type identification)",
        "More processors requested than permitted",
        "Node count specification invalid",
        "Memory required by task is not available",
        "Invalid Trackable RESource (TRES) specification",
    ],
    "limit": [
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "Requested partition configuration not available now",
        "Time limit specification required, but not provided",
    ],
    "gone": ["Invalid job id specified", "Job/step already completing or completed"],
    "person": ["Invalid user id", "User not found on host"],
    "not_allowed": ["Access/permission denied", "System submissions disabled"],
    "other": [
        "Operation now in progress",
        "Unspecified error",
        "",
        "I/O error writing script/environment to file",
    ],
}


@pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, all in WORDS.items() for said in all])
def test_slurms_words_have_one_meaning(kind, said):
    assert of_slurm(f"sbatch: error: Batch job submission failed: {said}").kind == kind


def test_slurms_words_are_told_without_its_programs():
    said = "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job failed: x\n\n"
    assert own_words(said) == "Memory specification can not be satisfied; Batch job failed: x"
    assert len(own_words("x" * 5000)) == 1000
