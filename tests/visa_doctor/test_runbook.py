"""Alert rules, dashboard, runbook: each alert has its section; figures that pages name are told by a hub."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
FILES = ROOT / "ansible/roles/monitoring/files"
RUNBOOK = ROOT / "docs/operators/runbook.md"
#: Prometheus' own, of what it scrapes.
NOT_OURS = {"up"}
#: What is no figure's name in an expression.
_WORDS = set(
    "sum by on and or unless rate increase histogram_quantile label_replace time le job instance backend what"
    " status reason profile plan node how asked code".split()
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def rules() -> list[dict]:
    groups = yaml.safe_load((FILES / "visa.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def names_in(expression: str) -> set[str]:
    without = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", expression)
    return {name for name in _NAME.findall(without) if name not in _WORDS}


def panels() -> list[dict]:
    return json.loads((FILES / "visa-dashboard.json").read_text())["panels"]


@pytest.fixture(scope="module")
def told(site):
    """The names of all samples, by the type of their figure, that a hub tells."""
    names = set()
    for family in text_string_to_metric_families(site.metrics()):
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names |= {family.name + end for end in ends}
    return names


def test_each_alert_has_its_section_and_each_section_its_alert():
    sections = re.findall(r"^## (Visa\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == list(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_is_and_how_urgent(name):
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert re.fullmatch(r"[0-9]+[mh]", rule["for"])
    section = RUNBOOK.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert "**People:**" in section
    assert "1. " in section


def test_each_reason_that_is_counted_says_where_to_look():
    (counted,) = [rule["expr"] for rule in rules() if rule.get("record") == "visa:starts_failed:15m"]
    reasons = re.search(r'reason=~"([^"]+)"', counted)[1].split("|")
    section = RUNBOOK.read_text().split("\n## VisaStartsFail\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    assert sorted(re.findall("`([^`]+)`", " ".join(rows))) == sorted(reasons)


def test_the_runbooks_links_lead_somewhere():
    text = RUNBOOK.read_text()
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        assert not path or (RUNBOOK.parent / path).is_file(), target
        assert path or anchor in anchors, target


def test_every_figure_of_the_alerts_is_told_by_a_hub(told):
    made = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for rule in rules() for name in names_in(rule["expr"])}
    assert "visa_proxy_answering" in used
    assert used - made - NOT_OURS - told == set()


def test_every_figure_of_the_dashboard_is_told_by_a_hub(told):
    used = {name for panel in panels() for target in panel["targets"] for name in names_in(target["expr"])}
    assert len(used) > 20
    assert used - NOT_OURS - told == set()


def test_panels_do_not_lie_on_each_other():
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


@pytest.mark.parametrize("page", ["runbook", "slurm", "warm"])
def test_every_figure_that_a_page_names_is_told_by_a_hub(told, page):
    text = (RUNBOOK.parent / f"{page}.md").read_text()
    quoted = " ".join(re.findall(r"`([^`]*)`", text))
    used = {name for name in names_in(quoted) if re.fullmatch(r"visa_[a-z_]+[a-z]", name)}
    # A histogram is told by its parts; a setting of ansible/ is no figure, nor is a package.
    figures = told | {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    assert len(used) > 4
    others = settings_of_ansible() | {path.name for path in ROOT.glob("visa_*")}
    assert used - others - figures == set()


def settings_of_ansible() -> set[str]:
    return set(yaml.safe_load((ROOT / "ansible/group_vars/all.yml").read_text()))
