import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spawner_support import BAD_OPTIONS, GOOD_OPTIONS

from visa_catalogue import CatalogueError, open_catalogue
from visa_catalogue.account import Account
from visa_spawner.asked.authorise import Limits, authorise, check_quota
from visa_spawner.asked.request import SessionRequest, parse, shown
from visa_spawner.profiles.files import load_profiles
from visa_spawner.session import Batch, StartRefused
from visa_spawner.start.compose import batch

LIMITS = Limits(home_only_roles=frozenset({"helpdesk"}), max_sessions=2)


@pytest.fixture
def alice():
    return Account(username="alice", roles=frozenset({"scientist"}))


@pytest.fixture
def profiles(site_files):
    return load_profiles(site_files / "profiles")


@pytest.fixture
def catalogue(site_files):
    return open_catalogue(f"file://{site_files}/experiments.yaml")


def refusal_of(options):
    with pytest.raises(StartRefused) as error:
        parse(options)
    return error.value


def test_only_profile_and_plan_are_required():
    request = parse({"profile": "general", "plan": "small"})
    assert (request.experiments, request.interface, request.lifetime_hours) == ([], "lab", None)


def test_the_documented_request():
    request = parse(GOOD_OPTIONS)
    assert request.model_dump() == GOOD_OPTIONS | {"image": None}


@pytest.mark.parametrize(("changes", "field"), BAD_OPTIONS)
def test_what_is_wrong_is_refused_by_its_field(changes, field):
    error = refusal_of(GOOD_OPTIONS | changes)
    assert error.field == field
    assert 400 <= error.status < 500
    for value in changes.values():
        # "1920x" is also part of the example that the words give.
        if isinstance(value, str) and len(value) > 2 and value != "1920x":
            assert value not in error.words


@pytest.mark.parametrize("missing", ["profile", "plan"])
def test_a_missing_field_is_named(missing):
    options = {k: v for k, v in GOOD_OPTIONS.items() if k != missing}
    assert refusal_of(options).field == missing
    assert "is missing" in refusal_of(options).words


@pytest.mark.parametrize("options", [None, [], "profile", 7])
def test_no_object_at_all(options):
    assert refusal_of(options).field == "user_options"


def test_a_name_of_somebodys_making_is_shown_harmless():
    assert shown("a\x00b\n\x1b[31mc\u202ed") == "ab[31mcd"
    assert shown("x" * 4096) == "x" * 39 + "…"
    assert shown("\n\x00") == "user_options"


@pytest.mark.parametrize(
    ("rule", "proposal", "account"),
    [
        ("", "A-1", ""),
        ("visitors", "A-1", "visitors"),
        ("{instrument}", "A-1", "id19"),
        ("{proposal}", "MA-1234", "ma-1234"),
        ("{proposal}", "--oops; $(id) Ü/..", "oops-id"),
        ("{proposal}", " ;/ ", None),
        ("{proposal}", "x" * 64, None),
    ],
)
async def test_whom_a_cluster_charges(alice, catalogue, profiles, rule, proposal, account):
    accepted = await authorise(parse(GOOD_OPTIONS), alice, catalogue, profiles, LIMITS)
    plan = accepted.plan.model_copy(update={"account": rule, "qos": "long", "tasks": 4})
    experiments = (accepted.experiments[0].model_copy(update={"proposal": proposal}),)
    accepted = replace(accepted, plan=plan, experiments=experiments)
    if account is None:
        with pytest.raises(StartRefused) as error:
            batch(accepted)
        assert (error.value.field, error.value.status) == ("experiments", 400)
        assert "A-1 has no proposal" in error.value.words
    else:
        assert batch(accepted) == Batch(account, "long", "", 4, 2.0)


async def test_a_plan_charged_to_an_experiment_needs_one(alice, catalogue, profiles):
    accepted = await authorise(parse(GOOD_OPTIONS), alice, catalogue, profiles, LIMITS)
    plan = accepted.plan.model_copy(update={"account": "{proposal}"})
    with pytest.raises(StartRefused) as error:
        batch(replace(accepted, plan=plan, experiments=()))
    assert error.value.field == "experiments"
    assert batch(replace(accepted, experiments=())).account == ""


async def test_an_accepted_request_has_everything_looked_up(alice, catalogue, profiles):
    accepted = await authorise(parse(GOOD_OPTIONS), alice, catalogue, profiles, LIMITS)
    assert accepted.plan.cpus == 1
    assert [e.id for e in accepted.experiments] == ["A-1"]
    assert accepted.lifetime_hours == 2
    default = await authorise(
        parse(GOOD_OPTIONS | {"lifetime_hours": None}), alice, catalogue, profiles, LIMITS
    )
    assert default.lifetime_hours == 1
    chosen = await authorise(
        parse(GOOD_OPTIONS | {"datasets": ["A-1-scan"]}), alice, catalogue, profiles, LIMITS
    )
    assert [d.name for d in chosen.datasets] == ["scan"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"profile": "nothing"}, "profile", "there is no profile nothing that you may use"),
        ({"profile": "staffonly"}, "profile", "there is no profile staffonly that you may use"),
        ({"plan": "huge"}, "plan", "has no plan huge"),
        ({"experiments": ["A-1", "B-2"]}, "experiments", "there is no experiment B-2 that you may see"),
        ({"experiments": ["A-1", "Z-9"]}, "experiments", "there is no experiment Z-9 that you may see"),
        ({"experiments": []}, "experiments", "choose at least one"),
        ({"datasets": ["B-2-scan"]}, "datasets", "no dataset B-2-scan"),
        ({"lifetime_hours": 5}, "lifetime_hours", "at most 4 hours"),
        ({"plan": "short", "lifetime_hours": 3}, "lifetime_hours", "at most 2 hours"),
    ],
)
async def test_what_the_account_may_not_have(alice, catalogue, profiles, changes, field, words):
    with pytest.raises(StartRefused) as error:
        await authorise(parse(GOOD_OPTIONS | changes), alice, catalogue, profiles, LIMITS)
    assert error.value.field == field
    assert words in error.value.words
    assert 400 <= error.value.status < 500


async def test_home_only_and_reserved_profiles_by_role(catalogue, profiles):
    helpdesk = Account(username="heidi", roles=frozenset({"helpdesk"}))
    options = GOOD_OPTIONS | {"experiments": [], "profile": "staffonly", "plan": "small"}
    accepted = await authorise(parse(options), helpdesk, catalogue, profiles, LIMITS)
    assert accepted.experiments == ()


async def test_a_catalogue_that_does_not_answer_is_said_so(alice, catalogue, profiles):
    class Down(type(catalogue)):
        async def experiment(self, experiment_id):
            raise CatalogueError("file", "the disk is gone")

    catalogue.__class__ = Down
    with pytest.raises(StartRefused) as error:
        await authorise(parse(GOOD_OPTIONS), alice, catalogue, profiles, LIMITS)
    assert error.value.status == 503
    assert "disk" not in error.value.words


def test_quota():
    check_quota(1, LIMITS)
    check_quota(99, Limits(max_sessions=0))
    with pytest.raises(StartRefused, match="you have 2 sessions running") as error:
        check_quota(2, LIMITS)
    assert error.value.status == 409


# Requests near a good one: a field or two replaced by what people and attackers send, or by any JSON.
_NASTY = st.sampled_from(
    ["../x", "/", "\0", "A-1\n", "a;b", "$(x)", "`id`", "x" * 4096, "", " ", "A-1 ", "..", "-rf", "\u202e",
     "\uff21\uff21", "<script>", "'\"", "%00", "desktop", "lab", "8", "0", "-1", "1e999", "true", "null",
     "A-1", "B-2", "small"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | _NASTY,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | _NASTY, inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = st.sampled_from([*GOOD_OPTIONS, "gpus", "image", "binds", "volumes", "cmd", "env", "__class__"])
_REQUESTS = st.builds(
    lambda changes, drop: {k: v for k, v in (GOOD_OPTIONS | changes).items() if k not in drop},
    st.dictionaries(_FIELDS | st.text(max_size=60) | _NASTY, _JSON, max_size=3),
    st.sets(_FIELDS, max_size=1),
)


@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(options=_REQUESTS)
async def test_a_thousand_requests(alice, catalogue, profiles, options):
    """Either it is granted, and then within what alice may have, or refused by a field's name in one line."""
    try:
        request = parse(options)
        accepted = await authorise(request, alice, catalogue, profiles, LIMITS)
    except StartRefused as error:
        known = set(SessionRequest.model_fields) | {"user_options"} | {shown(str(key)) for key in options}
        assert error.field in known
        assert 400 <= error.status < 500
        line = f"{error.field}: {error.words}"
        assert len(line) < 350
        assert not any(unicodedata.category(c)[0] == "C" for c in line)
    else:
        assert set(options) <= set(GOOD_OPTIONS)
        assert {e.id for e in accepted.experiments} == {"A-1"}
        assert accepted.profile.name == "general"
        assert 0 < accepted.lifetime_hours <= 4
        assert json.loads(request.model_dump_json()) == request.model_dump()
