"""The dashboard by Grafana's own schema, which no Grafana is needed for."""

import json
import subprocess
from pathlib import Path

import pytest

from demo import node

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "ansible/roles/monitoring/files/visa-dashboard.json"
FORM = ROOT / "tests/grafana"


def complaints(dashboard: str, folder: Path) -> list[str]:
    """What TypeScript has to say of a dashboard, as a value of the type that Grafana's pages have of it."""
    program = node.install(FORM) / "typescript/bin/tsc"
    file = folder / "dashboard.ts"
    file.write_text(
        f'import type {{ File }} from "{FORM}/form";\nexport const dashboard: File = {dashboard};\n'
    )
    options = "--strict --noEmit --skipLibCheck --target es2022 --module esnext --moduleResolution bundler"
    done = subprocess.run(
        [node.node(), program, *options.split(), "--pretty", "false", file],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode or not done.stdout, done.stderr
    return done.stdout.splitlines()


def test_it_is_a_dashboard_by_grafanas_own_schema(tmp_path):
    assert complaints(DASHBOARD.read_text(), tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"graphMode": "none"', '"graphMode": "no"'),
        ('"unit": "percentunit"', '"units": "percentunit"'),
        ('"type": "stat"', '"type": "singlestat"'),
        ('"w": 12', '"w": "12"'),
        ('"legendFormat": "hub"', '"legend": "hub"'),
        ('"schemaVersion": 39', '"schema": 39'),
        ('"editable": true', '"editable": "yes"'),
    ],
)
def test_a_mistake_is_seen(tmp_path, right, wrong):
    text = DASHBOARD.read_text()
    assert right in text
    assert complaints(text.replace(right, wrong, 1), tmp_path)


def test_each_variable_that_is_used_is_there():
    dashboard = json.loads(DASHBOARD.read_text())
    names = {one["name"] for one in dashboard["templating"]["list"]}
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    used |= {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert used == {f"${{{name}}}" for name in names}
