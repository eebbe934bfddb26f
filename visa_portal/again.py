"""Starting again what a passport tells of: what is another thing by now, in words. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from .models import Profile
from .models_passport import Image, Software


@dataclass(frozen=True)
class Before:
    """What was used before, held against what there is now.

    `exact` is the very image, where it is still there and not today's; `now` today's, where that is known.
    `changes` are sentences.
    """

    profile: str
    digest: str
    was: str
    changes: tuple[str, ...]
    exact: Image | None = None
    now: Image | None = None


def compare(
    profile_name: str, plan: str, digest: str, was: str, profile: Profile | None, software: Software | None
) -> Before:
    """What differs from a session with this profile, plan, image digest and revision; "" is not known.

    `profile` is None where it is gone or not for this person, `software` where nobody could say.
    """
    made = Before(profile_name, digest, was, ())
    if profile is None:
        said = f"The profile {profile_name} is not there any more, or not for you. Another one is chosen."
        return Before(profile_name, digest, was, (said,))
    changes = []
    if plan not in {one.name for one in profile.plans}:
        changes.append(f"The plan {plan} is not there any more. Another one is chosen.")
    if was and profile.revision and was != profile.revision:
        changes.append("The profile has been changed since.")
    exact, now = None, software.now if software else None
    if not digest:
        changes.append("Which software it was is not known exactly. It starts with today's.")
    elif software is None:
        changes.append("Whether that software is still there is not known at the moment.")
    elif software.was is None:
        said = software.words or "that software is not there any more"
        changes.append(f"{said[:1].upper()}{said[1:]}.")
    elif now is not None and now.digest == digest:
        changes.append("The software is the same as then.")
    else:
        exact = software.was
        changes.append("The software has been updated since.")
    return Before(made.profile, digest, was, tuple(changes), exact, now)
