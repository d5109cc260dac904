"""Run a notebook from top to bottom without a browser and print what it trained.

Usage: python .ci/demo.py notebooks/01-quickstart.ipynb
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import jupyter_ext as jx
from jupyter_ext.client.trainings.listing import TrainingList
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.magics.display import summary


def run(path: Path) -> None:
    """Execute the notebook in a kernel of its own, in its own folder.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    client.extra_arguments = ["--log-level=40"]  # a kernel on loopback warns of that at each start
    client.execute()


def main() -> int:
    """Run the notebook named on the command line and print the trainings it started.

    Returns:
        The exit code: 0 if every cell ran and every training succeeded.
    """
    path = Path(sys.argv[1])
    began, began_at = time.monotonic(), datetime.now(UTC)
    print(f"Running {path} …", flush=True)
    try:
        run(path)
        started = [
            training.wait(120)
            for training in jx.trainings.list()
            if datetime.fromisoformat(training.known.created_at) >= began_at
        ]
    except (CellExecutionError, JupyterExtError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"It ran from top to bottom in {time.monotonic() - began:.0f} s and trained:\n")
    print(repr(TrainingList(started)), "\n")
    for training in started:
        print(summary(training.known))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
