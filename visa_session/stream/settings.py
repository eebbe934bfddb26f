"""What selkies is told on its command line, by the plan the session was started with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..contract import SessionInfo

#: Whatever selkies offers beside pictures, each turned off; what its own default is may change.
OFF = (
    "audio-enabled",
    "microphone-enabled",
    "webcam-enabled",
    "gamepad-enabled",
    "command-enabled",
    "printing-enabled",
    "enable-clipboard",
    "enable-binary-clipboard",
    "clipboard-seamless",
    "enable-cursors",
    "enable-resize",
    "second-screen",
    "enable-collab",
    "enable-player2",
    "enable-player3",
    "enable-player4",
    "enable-dual-mode",
    "enable-basic-auth",
    "enable-https",
    "enable-metrics-http",
    "publish-input-devices",
    "app-wait-ready",
    "use-paint-over-quality",
    # A frame each sixtieth of a second, also of a desktop that stands still.
    "video-streaming-mode",
    # With one encoder thread a stream takes one core at most, and its turn beside the person's work.
    "cpu-encode-threading",
    "debug",
)

#: Quality on H.264's scale, lower is better. A picture that stands still is made no better: the page takes it
#: from VNC by then, exact to the pixel, for fewer bytes.
CRF = 37


#: How the process ends where nothing has failed: the screen has another size, or is gone.
EXIT_RESIZED, EXIT_NO_SCREEN = 80, 81


def is_installed() -> bool:
    """Whether this image has selkies; nothing of it is imported."""
    try:
        return bool(version("selkies"))
    except PackageNotFoundError:
        return False


def render_node(info: SessionInfo) -> str:
    """The device that encodes by VA-API among those the session was given; "" for none."""
    return next((gpu for gpu in info.gpus if Path(gpu).name.startswith("renderD")), "")


def options(info: SessionInfo, socket: Path, nothing: Path) -> list[str]:
    """selkies' command line; `nothing` is a directory with an empty page and no file that could be asked for.

    A session without a GPU encodes on its CPUs, whatever the node has. With one, selkies takes NVENC or
    VA-API where the device has H.264, and the CPUs otherwise.
    """
    told = {
        "mode": "websockets",
        "unix-socket": socket,
        "web-root": nothing,
        "file-manager-path": nothing,
        "file-transfers": "none",
        "encoder": "h264enc",
        "framerate": f"{info.stream_rate}-{info.stream_rate}",
        "rate-control-mode": "crf",
        "video-crf": f"{CRF}-{CRF}",
        "use-cpu": "false" if info.gpus else "true",
        "auto-gpu": "true" if info.gpus else "false",
        # Frames for a browser that does not keep up, before they are dropped.
        "backpressure-queue-size": 30,
        "allowed-origins": "https://nobody.invalid",
    }
    if node := render_node(info):
        told["encode-dri"] = node
    told |= dict.fromkeys(OFF, "false")
    return [f"--{name}={value}" for name, value in told.items()]
