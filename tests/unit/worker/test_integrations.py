"""Writers and callbacks of other tools report to the run. Where a tool is not installed its test is skipped."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.integrations.tensorboard import SummaryWriter
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.worker.sdk import checkpoint, logging


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "run"
    directory.mkdir()
    report = logging.Reporter(directory, "0")
    logging.activate(report)
    logging._told.clear()
    yield directory
    logging.activate(None)
    report.close()


def curves(run_dir: Path) -> tuple[dict[str, tuple[list[float], list[float]]], list[dict[str, Any]]]:
    store = RunStore(run_dir)
    store.open()
    while store.ingest() is not None:
        pass
    _, found = decode_columns(store.columns())
    marks = store.marks()
    store.close()
    return {item.key: (item.steps.tolist(), item.values.tolist()) for item in found}, marks


def test_a_summary_writer_draws_scalars_and_names_the_rest_once(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    with SummaryWriter("runs/a", comment="x") as writer:
        for step in range(3):
            writer.add_scalar("Loss/train", torch.tensor(1.0 / (step + 1)), step)
            writer.add_scalars("acc", {"a": step, "b": -step}, step)
            writer.add_mesh("sample", torch.zeros(3, 2, 2), step)
            writer.add_embedding(torch.zeros(3), step)
        writer.add_hparams({"lr": 0.1}, {"hparam/accuracy": 0.9})
        writer.add_text("note", "hello", 3)
        writer.flush()
        assert writer.get_logdir() == "runs/a"
    found, marks = curves(run_dir)
    assert found["acc/b"] == ([0, 1, 2], [0, -1, -2])
    assert found["Loss/train"][1][0] == 1
    assert found["hparam/accuracy"][1] == [0.9]
    assert [mark["text"].split("(")[0] for mark in marks if mark["kind"] == "notice"] == [
        "SummaryWriter.add_mesh",
        "SummaryWriter.add_embedding",
    ]
    assert capsys.readouterr().out == "hparams lr=0.1\n"
    with pytest.raises(AttributeError):
        writer.nothing  # noqa: B018


def test_it_takes_the_arguments_that_torchs_takes() -> None:
    theirs = pytest.importorskip("torch.utils.tensorboard").SummaryWriter
    added = [
        "scalar",
        "scalars",
        "hparams",
        "text",
        "image",
        "images",
        "figure",
        "histogram",
        "histogram_raw",
        "audio",
        "video",
        "pr_curve",
    ]
    for name in ("__init__", "flush", "close", *(f"add_{what}" for what in added)):
        wanted = list(inspect.signature(getattr(theirs, name)).parameters)
        assert list(inspect.signature(getattr(SummaryWriter, name)).parameters) == wanted, name


def test_hugging_face_trainer(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    from jupyter_ext.integrations.hf import JupyterExtCallback, latest_folder

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            out = self.layer(x).squeeze(-1)
            return {"loss": (out - labels).pow(2).mean(), "logits": out}

    rows = [{"x": torch.randn(2), "labels": torch.tensor(1.0)} for _ in range(16)]
    options = {
        "output_dir": str(tmp_path / "out"),
        "per_device_train_batch_size": 4,
        "num_train_epochs": 3,
        "logging_steps": 2,
        "save_steps": 4,
        "eval_strategy": "epoch",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }

    def trainer() -> Any:
        arguments = transformers.TrainingArguments(**options)
        return transformers.Trainer(
            Model(), arguments, train_dataset=rows, eval_dataset=rows, callbacks=[JupyterExtCallback]
        )

    assert latest_folder() is None
    asked = iter([False] * 5 + [True] * 100)
    with monkeypatch.context() as patched:
        patched.setattr(logging, "should_stop", lambda: next(asked))
        stopped = trainer()
        stopped.train(resume_from_checkpoint=latest_folder())
    assert stopped.state.global_step == 6
    found, marks = curves(run_dir)
    assert found["train/loss"][0][:3] == [2, 4, 6]
    assert found["eval/loss"][0][0] == 4
    assert not {"train/epoch", "epoch", "train/total_flos"} & set(found)
    assert [mark["step"] for mark in marks if mark["kind"] == "checkpoint"] == [4, 6]
    assert [(mark["current"], mark["total"]) for mark in marks if mark["kind"] == "progress"] == [(6, 12)]
    assert latest_folder() == str(tmp_path / "out" / "checkpoint-6")
    resumed = trainer()
    resumed.train(resume_from_checkpoint=latest_folder())
    assert resumed.state.global_step == 12
    assert curves(run_dir)[0]["train/loss"][0] == [2, 4, 6, 8, 10, 12]
    newest = checkpoint.latest()
    assert newest is not None
    assert newest.step == 12


@pytest.mark.filterwarnings("ignore")
def test_lightning(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    import torch

    from jupyter_ext.integrations.lightning import JupyterExtCallback, JupyterExtLogger

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, width: int = 1) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, width)

        def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
            loss = self.layer(batch).pow(2).mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    def fit() -> Any:
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=JupyterExtLogger(),
            callbacks=[JupyterExtCallback()],
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(Module(), torch.utils.data.DataLoader(torch.randn(16, 2), batch_size=4))
        return trainer

    assert fit().global_step == 8
    found, marks = curves(run_dir)
    assert found["train_loss"][0] == list(range(8))
    assert set(found) == {"train_loss"}
    assert [(mark["current"], mark["total"]) for mark in marks if mark["kind"] == "progress"] == [(8, 8)]
    asked = iter([False] * 2 + [True] * 100)
    monkeypatch.setattr(logging, "should_stop", lambda: next(asked))
    assert fit().global_step == 3
