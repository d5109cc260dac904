"""Code that nobody changed reports its progress and curves: bars for notebooks, rich, transformers' Trainer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail

HEAD = """
import sys
from pathlib import Path
from jupyter_ext.integrations import automatic
from jupyter_ext.worker.sdk import logging
reporter = logging.Reporter(Path(sys.argv[1]), "0")
logging.activate(reporter)
automatic.install()
"""


def in_a_training(tmp_path: Path, code: str) -> tuple[list[tuple[float, float | None]], dict[str, int], str]:
    """Run code with a reporter; return what was said of progress, the points of each curve, and what was printed."""
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}\n{code}\nreporter.close()", str(tmp_path)],
        capture_output=True, text=True, timeout=110, cwd=tmp_path, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tail = JournalTail(tmp_path / "metrics-0-0.jnl")
    news = tail.read()
    tail.close()
    marks: list[dict[str, Any]] = [mark.fields for mark in news.marks if mark.fields["kind"] == "progress"]
    counts = {key: len(columns.steps) for key, columns in news.columns.items()}
    return [(mark["current"], mark["total"]) for mark in marks], counts, done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from tqdm.notebook import tqdm\nfor _ in tqdm(range(5), display=True): pass",
        "from tqdm.notebook import trange\nfor _ in trange(5): pass",
        "from tqdm.notebook import tqdm_notebook\nwith tqdm_notebook(total=5) as bar:\n    for _ in range(5): bar.update()",
        "import tqdm.notebook, tqdm.auto\nfor _ in tqdm.notebook.tqdm(range(5), desc='x'): pass",
    ],
)
def test_bars_for_notebooks_are_text(tmp_path: Path, code: str) -> None:
    assert "5/5 [" in in_a_training(tmp_path, code)[2]


@pytest.mark.parametrize(
    "code",
    [
        "from rich.progress import track\nfor _ in track(range(6)): pass",
        "from rich.progress import Progress\nwith Progress() as p:\n    task = p.add_task('x', total=6)\n"
        "    for _ in range(6): p.advance(task)",
        "import rich.progress as r\nwith r.Progress() as p:\n    o, i = p.add_task('o', total=6), p.add_task('i', total=2)\n"
        "    for n in range(6):\n        p.update(i, completed=2); p.update(o, completed=n + 1)",
    ],
)
def test_progress_of_rich_is_taken_over(tmp_path: Path, code: str) -> None:
    assert in_a_training(tmp_path, code)[0][-1] == (6, 6)


def test_the_codes_own_progress_wins(tmp_path: Path) -> None:
    code = "from jupyter_ext import progress\nfrom rich.progress import track\nprogress(1, 3)\nfor _ in track(range(9)): pass"
    assert in_a_training(tmp_path, code)[0] == [(1, 3)]


TRAINER = """
import torch
from transformers import Trainer, TrainingArguments
class M(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.l = torch.nn.Linear(2, 1)
    def forward(self, x, labels=None):
        y = self.l(x).squeeze(-1); return {"loss": ((y - labels) ** 2).mean(), "logits": y}
data = [{"x": torch.randn(2), "labels": torch.randn(())} for _ in range(32)]
a = TrainingArguments("./out", num_train_epochs=1, logging_steps=2, report_to=[], use_cpu=True, save_strategy="no",
                      per_device_train_batch_size=8)
"""


@pytest.mark.parametrize("callbacks", ["[]", "[JupyterExtCallback()]", "[JupyterExtCallback]"])
def test_a_trainer_of_transformers_has_curves_once(tmp_path: Path, callbacks: str) -> None:
    code = f"{TRAINER}from jupyter_ext.integrations.hf import JupyterExtCallback\n"
    code += f"Trainer(M(), a, train_dataset=data, callbacks={callbacks}).train()"
    progress, counts, _ = in_a_training(tmp_path, code)
    assert progress[-1] == (4, 4)
    assert counts["train/loss"] == 2


def test_a_hook_that_fails_fails_no_import(tmp_path: Path) -> None:
    code = "from jupyter_ext.worker.runtime.import_hooks import when_imported\ndef bad(module): raise ValueError('x')\n"
    code += "when_imported('colorsys', bad); import colorsys, json; print(json.dumps(colorsys.__name__))"
    out = in_a_training(tmp_path, code)[2]
    assert "ValueError: x" in out
    assert json.dumps("colorsys") in out
