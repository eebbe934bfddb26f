"""Names the tests of this room share."""

from pathlib import Path

import yaml

from visa_spawner.session import Person

ALICE = Person("alice", 20001, 20001, (30001,), "/unset")

GOOD_OPTIONS = {
    "experiments": ["A-1"],
    "datasets": [],
    "profile": "general",
    "plan": "small",
    "interface": "desktop",
    "screen": "1920x1080",
    "keyboard": "fr",
    "lifetime_hours": 2.0,
}

#: Changes that make a good request bad in form, and the field that a refusal must name.
BAD_OPTIONS = [
    ({"gpus": 8}, "gpus"),
    *[
        ({"image": bad}, "image")
        for bad in (
            "evil",
            "localhost/visa/general:latest",
            "",
            7,
            ["sha256:" + "a" * 64],
            "sha256:" + "A" * 64,
            "sha256:" + "a" * 63,
            "sha256:" + "a" * 64 + "\n",
        )
    ],
    ({"binds": ["/etc"]}, "binds"),
    ({"mem_limit": "1T"}, "mem_limit"),
    ({"x\n\x00y": 1}, "xy"),
    ({"q" * 4096: 1}, "q" * 39 + "…"),
    *[
        ({"experiments": [bad]}, "experiments")
        for bad in (
            "../x",
            "/",
            "a\x00b",
            "A-1\n",
            "a;b",
            "$(x)",
            "x" * 4096,
            "",
            ".",
            7,
            None,
            True,
            {},
            ["A-1"],
        )
    ],
    ({"experiments": "A-1"}, "experiments"),
    ({"experiments": {"A-1": 1}}, "experiments"),
    ({"experiments": ["A-1", "A-1"]}, "experiments"),
    ({"experiments": [f"E{n}" for n in range(21)]}, "experiments"),
    ({"datasets": ["a\nb"]}, "datasets"),
    ({"datasets": ["d" * 300]}, "datasets"),
    *[
        ({"profile": bad}, "profile")
        for bad in ("../x", "a b", "general\n", "x" * 4096, None, 3, ["general"])
    ],
    *[({"plan": bad}, "plan") for bad in ("/", "$(reboot)", "", "x" * 4096, None, {"gpus": 8})],
    *[({"interface": bad}, "interface") for bad in ("vnc", "", None, ["lab"])],
    *[
        ({"screen": bad}, "screen")
        for bad in (
            "639x480",
            "7681x4320",
            "640x479",
            "1920x1080\n",
            "1920x",
            "-1x-1",
            "1920 x 1080",
            1920,
            None,
        )
    ],
    *[({"keyboard": bad}, "keyboard") for bad in ("xx", "us; id", "fr\n", "", None, ["fr"])],
    *[({"lifetime_hours": bad}, "lifetime_hours") for bad in (0, -1, "8", True, [], 10**400)],
]


def write_site(root: Path, queue: bool = False) -> None:
    """Profiles, and two experiments, one of them alice's, with their data below `root`.

    `queue`: also the profiles of a backend with a queue.
    """

    def profile(name, **changes):
        plan = {"backend": "container", "cpus": 1, "memory": "1G"}
        plans = {"small": plan | {"title": "1 core"}, "short": plan | {"title": "2 hours", "hours": 2}}
        lifetime = {"default_hours": 1, "max_hours": 4, "idle_hours": 3}
        return {
            "name": name,
            "title": name.title(),
            "image": name,
            "lifetime": lifetime,
            "plans": plans,
        } | changes

    def experiment(id, place, team):
        dataset = {"id": f"{id}-scan", "name": "scan", "path": f"{root}/visitor/{place}/RAW_DATA/scan"}
        days = {"start": "2026-05-01", "end": "2026-05-04"}
        paths = {"raw": f"{root}/visitor/{place}/RAW_DATA"}
        if place == "a1":
            paths["processed"] = f"{root}/visitor/{place}/PROCESSED_DATA"
        about = {"id": id, "title": f"About {id}", "proposal": id, "instrument": "id19", "team": team}
        return about | days | paths | {"datasets": [dataset]}

    (root / "profiles").mkdir(exist_ok=True)
    gpu = {"title": "1 GPU", "backend": "container", "cpus": 1, "memory": "1G", "gpus": 1}
    profiles = [profile("general"), profile("staffonly", roles=["helpdesk"])]
    behave = ("dies71", "dies72", "dies9", "never", "lies", "old", "unheard")
    profiles += [profile(name, roles=["scientist"]) for name in behave]
    profiles[0]["plans"]["gpu"] = gpu
    if queue:
        plan = {"title": "Cluster", "backend": "slurm", "cpus": 1, "memory": "1G", "hours": 3}
        plans = {"queue": plan | {"account": "{proposal}"}}
        profiles += [profile("queue", image="general", plans=plans)]
        profiles += [profile("queue-never", image="never", plans=plans)]
    brief = {"default_hours": 0.0005, "max_hours": 1}
    profiles.append(profile("brief", image="general", lifetime=brief))
    profiles.append(
        profile("idle", image="general", lifetime=brief | {"default_hours": 1, "idle_hours": 0.0005})
    )
    for one in profiles:
        (root / "profiles" / f"{one['name']}.yaml").write_text(yaml.safe_dump(one))
    experiments = [experiment("A-1", "a1", ["alice"]), experiment("B-2", "b2", ["bob"])]
    (root / "experiments.yaml").write_text(yaml.safe_dump(experiments))
