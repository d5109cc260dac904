"""Run a notebook from top to bottom without a browser and print what it trained.

Usage: python .ci/demo.py notebooks/01-quickstart.ipynb
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def run(path: Path) -> nbformat.NotebookNode:
    """Execute the notebook in a kernel of its own, in its own folder.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    return notebook


def print_outputs(notebook: nbformat.NotebookNode) -> None:
    """Print what the cells put out as text, each under its first line of code."""
    for cell in notebook.cells:
        texts = [text for output in cell.get("outputs", []) if (text := _text(output).strip())]
        if texts:
            print(f"In  {cell.source.strip().splitlines()[0]}", *texts, "", sep="\n")


def _text(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    return str(output.get("data", {}).get("text/plain", ""))


def main() -> int:
    """Run the notebook named on the command line.

    Returns:
        The exit code: 0 if every cell ran.
    """
    path = Path(sys.argv[1])
    try:
        notebook = run(path)
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    print_outputs(notebook)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
