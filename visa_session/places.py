"""Where in a session's files things are looked at and put: the same for JupyterLab and for the desktop."""

from __future__ import annotations

import os

from .contract import EXPERIMENTS_ROOT, ExperimentInfo, SessionInfo


def top_directories(info: SessionInfo, home: str) -> set[str]:
    """First components of the paths that matter in this session: experiments, their data, home."""
    paths = {home}
    if info.experiments:
        paths.add(EXPERIMENTS_ROOT)
    for experiment in info.experiments:
        paths |= {experiment.raw, experiment.processed}
    return {path.split("/")[1] for path in paths if path.startswith("/") and path != "/"}


def writable_directory(info: SessionInfo, home: str, root: str = EXPERIMENTS_ROOT) -> str:
    """Where new files belong: beside an experiment's data where the person may write there, else at home."""
    for experiment in info.experiments:
        processed = f"{root}/{experiment.id}/processed"
        if experiment.processed and os.access(processed, os.R_OK | os.W_OK | os.X_OK):
            return processed
    return home


def raw_data_of(info: SessionInfo, path: str) -> ExperimentInfo | None:
    """The experiment to whose raw data a path leads, however it is written; None for any other path."""
    path = os.path.realpath(path)
    for experiment in info.experiments:
        if _is_below(path, experiment.raw) and not _is_below(path, experiment.processed):
            return experiment
    return None


def _is_below(path: str, directory: str) -> bool:
    """Whether a real path is a directory or in it; in none where that is empty."""
    return bool(directory) and f"{path}/".startswith(os.path.realpath(directory).rstrip("/") + "/")


def data_directory(info: SessionInfo, home: str, root: str = EXPERIMENTS_ROOT) -> str:
    """Where a session's data are looked at: its experiment, all of them, or home where there is none.

    The datasets that were chosen for it, where they are there.
    """
    places = [experiment_directory(experiment, root) for experiment in info.experiments]
    place = places[0] if len(places) == 1 else root if places else home
    return place if os.path.isdir(place) else home


def experiment_directory(experiment: ExperimentInfo, root: str = EXPERIMENTS_ROOT) -> str:
    """An experiment's short way, or the one to its chosen datasets; to the only one where there is one."""
    datasets = f"{root}/{experiment.id}/datasets"
    try:
        names = os.listdir(datasets) if experiment.datasets else []
    except OSError:
        names = []
    if not names:
        return f"{root}/{experiment.id}"
    return f"{datasets}/{names[0]}" if len(names) == 1 else datasets
