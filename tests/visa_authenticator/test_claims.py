"""Claims read as an account: what is taken, what is left out, what refuses the login."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visa_authenticator.claims import CLAIM_NAMES, ClaimRefused, ClaimRules, read_account

GOOD = {
    "preferred_username": "ada",
    "name": "Ada",
    "email": "ada@example.org",
    "uidNumber": 20001,
    "gidNumber": 20002,
    "gidNumbers": [30001, 20002, 30001],
    "homeDirectory": "/data/home/ada",
    "roles": ["scientist"],
    "experiments": ["MX-1001"],
    "instruments": [],
}


def read(rules=None, **changes):
    return read_account({**GOOD, **changes}, rules or ClaimRules())


def test_good_claims_make_an_account():
    account, ignored = read()
    assert ignored == []
    assert (account.username, account.uid, account.gid, account.gids) == ("ada", 20001, 20002, (30001,))
    assert account.groups == ["experiment-MX-1001", "role-scientist"]


@pytest.mark.parametrize("claim", ["uidNumber", "gidNumber"])
@pytest.mark.parametrize(
    "value", [None, 0, -1, 999, "20001", "", "root", True, 20001.0, [20001], {}, 65534, 65535, 2**31, 2**64]
)
def test_absurd_ids_are_refused(claim, value):
    with pytest.raises(ClaimRefused, match=f"^{claim} "):
        read(**{claim: value})


@pytest.mark.parametrize("value", [20001, "30001", [0], [30001, True], ["30001"], [27], [[30001]]])
def test_absurd_supplementary_gids_are_refused(value):
    with pytest.raises(ClaimRefused, match="^gidNumbers "):
        read(gidNumbers=value)


def test_floors_are_settings():
    rules = ClaimRules(uid_floor=500, gid_floor=100)
    account, _ = read(rules, uidNumber=500, gidNumber=100, gidNumbers=[101])
    assert (account.uid, account.gid, account.gids) == (500, 100, (101,))
    with pytest.raises(ClaimRefused, match="gidNumber is 99, below the lowest allowed, 100"):
        read(rules, gidNumber=99)


@pytest.mark.parametrize(
    "text", ["020001", "+20001", " 20001", "20001\n", "2e4", "２０００１", "0x5000", "-1"]
)
def test_numeric_strings_are_whole_plain_numbers_and_only_where_allowed(text):
    rules = ClaimRules(numeric_strings=True)
    assert read(rules, uidNumber="20001", gidNumbers=["30001"])[0].gids == (30001,)
    for one in (rules, ClaimRules()):
        with pytest.raises(ClaimRefused):
            read(one, uidNumber=text)


@pytest.mark.parametrize(
    "home",
    [
        None,
        "",
        "data/home/ada",
        "/",
        "/ada",
        "//data/ada",
        "/data/../etc",
        "/data/./ada",
        "/data/home/",
        "/root/ada",
        "/etc/ada",
        "/proc/1",
        "/data/a:b",
        "/data/a\0b",
        "/data/a\nb",
        "/data/a\x7fb",
        "/data/\u202eada",
        "/data/" + "x" * 1024,
        7,
        ["/data/home/ada"],
    ],
)
def test_absurd_homes_are_refused(home):
    with pytest.raises(ClaimRefused, match="^homeDirectory "):
        read(homeDirectory=home)


def test_homes_may_be_kept_below_given_directories():
    rules = ClaimRules(home_roots=("/data/home/",))
    assert read(rules)[0].home == "/data/home/ada"
    for home in ("/data/homes/ada", "/data/home2/ada", "/data/home"):
        with pytest.raises(ClaimRefused, match="does not stand where homes do"):
            read(rules, homeDirectory=home)


@pytest.mark.parametrize(
    "name", [None, "", "Ada", "a b", "../ada", "ada\n", "-ada", "1da", "a" * 33, "ad\u0430", 5, ["ada"]]
)
def test_unsafe_usernames_are_refused(name):
    with pytest.raises(ClaimRefused, match="^preferred_username "):
        read(preferred_username=name)


def test_unknown_roles_and_odd_ids_are_left_out_and_said():
    account, ignored = read(
        roles=["helpdesk", "king", 5, "local-contact"],
        experiments=["A-1", "../x", "a b", "A-1\n", 7, "x" * 65],
        instruments="id19",
    )
    assert account.roles == {"helpdesk"}
    assert account.teams == {"A-1"}
    assert account.instruments == frozenset()
    assert len(ignored) == 3 + 5 + 1
    assert all("left out" in words and "\n" not in words for words in ignored)
    rules = ClaimRules(role_names={"local-contact": "instrument-scientist"})
    assert read(rules, roles=["local-contact"])[0].roles == {"instrument-scientist"}


def test_names_to_show_lose_their_control_signs():
    account, _ = read(name="Ada\u202e\n <b>" + "x" * 300, email=5)
    assert account.name.startswith("Ada <b>x") and len(account.name) == 200
    assert account.email == ""


def test_claims_may_have_other_names_and_be_nested():
    names = {**CLAIM_NAMES, "uid": "https://facility/uid", "gid": "posix.gid", "username": "uid"}
    claims = {**GOOD, "https://facility/uid": 4001, "posix": {"gid": 4002}, "uid": "bob"}
    account, _ = read_account(claims, ClaimRules(names=names))
    assert (account.username, account.uid, account.gid) == ("bob", 4001, 4002)
    with pytest.raises(ClaimRefused, match=r"^posix\.gid is missing"):
        read_account({**claims, "posix": 5}, ClaimRules(names=names))


simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text("/.ax:\n0", max_size=8)
values = simple | st.lists(simple, max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), values, max_size=4))
def test_whatever_the_claims_are_an_account_is_safe_or_refused(changes):
    try:
        account, _ = read(**changes)
    except ClaimRefused as error:
        assert error.claim in GOOD
        return
    assert account.uid >= 1000 and account.gid >= 1000 and all(gid >= 1000 for gid in account.gids)
    assert account.home.startswith("/") and ".." not in account.home.split("/")
