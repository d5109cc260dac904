"""Runs that mlflow has kept in files, and those of trackio's databases.

Source: mlflow's docs, "Backend Stores" (`mlruns/<experiment>/<run>/{meta.yaml,params,metrics}`); trackio's `sqlite_storage.py`
(table `metrics`: timestamp, run_name, step, metrics as JSON).
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from jupyter_ext.client.imports.found import FoundRun

_MAX_TEXT = 10_000


def mlflow_runs(path: Path) -> Iterator[FoundRun]:
    """Read the runs below an `mlruns` folder, an experiment's, or one run's."""
    for meta in sorted(path.rglob("meta.yaml")):
        folder = meta.parent
        if not (folder / "metrics").is_dir():
            continue
        run = FoundRun(_yaml_value(meta, "run_name") or folder.name[:12], "mlflow")
        for file in sorted((folder / "params").rglob("*")) if (folder / "params").is_dir() else ():
            if file.is_file():
                run.inputs[_key(file, folder / "params")] = _plain(
                    file.read_text(errors="replace")[:_MAX_TEXT]
                )
        for file in sorted((folder / "metrics").rglob("*")):
            if file.is_file():
                _take_mlflow(run, _key(file, folder / "metrics"), file)
        yield run


def _take_mlflow(run: FoundRun, key: str, file: Path) -> None:
    with open(file, errors="replace") as lines:
        for line in lines:
            parts = line.split()
            with contextlib.suppress(ValueError, IndexError):
                run.add(key, float(parts[2]), float(parts[1]), float(parts[0]) / 1000)


def _yaml_value(path: Path, name: str) -> str:
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip().strip("'\"")
    return ""


def _key(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def trackio_runs(path: Path) -> Iterator[FoundRun]:
    """Read the runs of one of trackio's databases.

    Raises:
        ValueError: It is none.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT run_name, step, timestamp, metrics FROM metrics ORDER BY id"
            ).fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path} is no database of trackio: {error}") from None
    runs: dict[str, FoundRun] = {}
    for name, step, stamp, text in rows:
        run = runs.setdefault(str(name), FoundRun(str(name), "trackio"))
        with contextlib.suppress(ValueError, TypeError):
            time = datetime.fromisoformat(str(stamp))
            seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
            for key, value in _numbers(json.loads(text)).items():
                run.add(key, float(step), value, seconds)
    yield from runs.values()


def _numbers(values: object, prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in values.items() if isinstance(values, Mapping) else ():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
        elif value in ("NaN", "Infinity", "-Infinity"):
            found[f"{prefix}{key}"] = {"NaN": math.nan, "Infinity": math.inf}.get(str(value), -math.inf)
    return found


def _plain(text: str) -> object:
    """Return a parameter as the number or truth that it is, or as its text."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return {"True": True, "False": False, "None": None}.get(text, text)
