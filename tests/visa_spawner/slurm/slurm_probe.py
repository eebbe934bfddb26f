"""What a session sees of the world around it: writes that down, then becomes `visa-session`."""

import json
import os
import pwd
import sys

raw, processed, image, device = sys.argv[1:]


def refusal(path):
    """Why a file cannot be made there; "" where it can."""
    try:
        with open(path, "w") as file:
            file.write("mine")
    except OSError as error:
        return error.strerror
    return ""


def status(field):
    with open("/proc/self/status") as lines:
        return next(line.split()[1] for line in lines if line.startswith(field + ":"))


def size(path):
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


seen = {
    "who": [os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name],
    "groups": len(os.getgroups()),
    "cwd": os.getcwd(),
    "raw": open(raw + "/measured").read(),
    "raw refused": [refusal(raw + "/new"), refusal(raw + "/below/new"), refusal(raw + "/measured")],
    "processed refused": refusal(processed + "/made-inside"),
    "home refused": refusal(os.environ["HOME"] + "/made-inside"),
    "tmp refused": refusal("/tmp/made-inside"),
    "shm refused": refusal("/dev/shm/made-inside"),
    "short ways": {
        name: os.readlink("/experiments/a1/" + name) if os.path.lexists("/experiments/a1/" + name) else ""
        for name in ("raw", "processed")
    },
    "passport": open("/experiments/passport.json").read()
    if os.path.exists("/experiments/passport.json")
    else "",
    "passport refused": refusal("/experiments/passport.json"),
    "image refused": [refusal(path + "/new") for path in ("", "/etc", "/usr", "/opt/visa", image, "/dev")],
    "new privileges": status("NoNewPrivs") == "0",
    "capabilities": status("CapEff"),
    "tmp": [size("/tmp"), sorted(os.listdir("/tmp"))],
    "shm": [size("/dev/shm"), sorted(os.listdir("/dev/shm"))],
    "devices": sorted(os.listdir("/dev")),
    "gpu": os.path.exists(device) and os.access(device, os.R_OK | os.W_OK),
    "environment": dict(os.environ),
    "first process": os.getpid() == 1,
    "hosts": open("/etc/hosts").read(),
    "arguments": sys.orig_argv[:1],
}
with open(processed + "/seen.json.new", "w") as file:
    json.dump(seen, file)
os.rename(processed + "/seen.json.new", processed + "/seen.json")
os.execvp("visa-session", ["visa-session"])
