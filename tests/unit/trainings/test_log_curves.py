"""Curves of printed lines: exact to the line, whatever is killed, and only where the code does not log by itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring.log_curves import STREAM, LogCurves
from jupyter_ext.protocol.metrics_codec import decode_columns

Curves = dict[str, list[tuple[float, float]]]


def read_all(run_dir: Path, stored: dict[str, int] | None = None, own: tuple[str, ...] = ()) -> LogCurves:
    curves = LogCurves(run_dir, stored or {})
    while curves.read(own):
        pass
    curves.read(own, final=True)
    curves.close()
    return curves


def found(run_dir: Path) -> Curves:
    store = RunStore(run_dir)
    store.open()
    while store.ingest() is not None:
        pass
    _, series = decode_columns(store.columns())
    store.close()
    return {
        item.key: list(zip(item.steps.tolist(), item.values.tolist(), strict=True))
        for item in series
        if item.rank == STREAM
    }


def curves_of(tmp_path: Path, text: str) -> Curves:
    (tmp_path / "logs.txt").write_text(text, newline="")
    read_all(tmp_path)
    return found(tmp_path)


@pytest.mark.parametrize(
    ("text", "curves"),
    [
        ("iter 0: train loss 2.5, time 25ms\niter 10: train loss 1.5, time 24ms\n", {"train loss": [(0, 2.5), (10, 1.5)]}),
        ("epoch=1 val_acc: 0.5\nepoch=2 val_acc: 0.75", {"val_acc": [(1, 0.5), (2, 0.75)]}),
        ('{"step": 1, "loss": 2}\n{"step": 5, "loss": 1}\n', {"loss": [(1, 2), (5, 1)]}),
        ("{'loss': 0.5, 'epoch': 0.5}\n{'loss': 0.25, 'epoch': 1.0}\n", {"loss": [(0.5, 0.5), (1, 0.25)]}),
        ("loss: 3\nloss: 2\nloss: 1\n", {"loss": [(0, 3), (1, 2), (2, 1)]}),
        (
            "  0%|  | 0/2 [00:00<?, ?it/s, loss=4]\r 50%|# | 1/2 [00:01<00:01, loss=3]\r100%|##| 2/2 [00:02<00:00, loss=2]\n"
            " 50%|# | 1/2 [00:01<00:01, loss=1]\r",
            {"loss": [(0, 4), (1, 3), (2, 2), (3, 1)]},
        ),
        (
            "Epoch [1/2], Step [1/2], Loss: 4\nEpoch [1/2], Step [2/2], Loss: 3\nEpoch [2/2], Step [1/2], Loss: 2\n",
            {"Loss": [(1, 4), (2, 3), (3, 2)]},
        ),
        ("[epoch 1, batch 10] loss: 4\n[epoch 1, batch 20] loss: 3\n[epoch 2, batch 10] loss: 2\n", {"loss": [(10, 4), (20, 3), (30, 2)]}),
        ("epoch 1: loss 2 acc 50%\nepoch 2: loss 1 acc 75%\n", {"acc": [(1, 50), (2, 75)], "loss": [(1, 2), (2, 1)]}),
        ("test loss: 1\ntrain loss: 2\ntest loss: 0.5\ntrain loss: 1.5\n", {"test loss": [(0, 1), (1, 0.5)], "train loss": [(0, 2), (1, 1.5)]}),
        ("batch_size: 64\nlr = 0.001\nstep 5 of 10\nstep 6 of 10\nreading 5 files\n", {}),
        ("\x1b[32mepoch=1 loss=2\x1b[0m\n\x1b[32mepoch=2 loss=1\x1b[0m\n", {"loss": [(1, 2), (2, 1)]}),
    ],
)  # fmt: skip
def test_what_people_print(tmp_path: Path, text: str, curves: Curves) -> None:
    assert curves_of(tmp_path, text) == curves


def test_pieces_and_kills_change_nothing(tmp_path: Path) -> None:
    lines = [f"step {i}: loss {i / 7:.4f}, accuracy: {i % 50}%\n" for i in range(400)]
    data = "".join(lines).encode()
    rng = random.Random(0)
    end, curves = 0, LogCurves(tmp_path, {})
    while end < len(data):
        end = min(len(data), end + rng.randrange(1, 900))
        (tmp_path / "logs.txt").write_bytes(data[:end])
        curves.read(())
        if rng.random() < 0.2:  # the engine is killed, and another one begins anew
            curves.close()
            stored = {key: len(points) for key, points in found(tmp_path).items()}
            curves = LogCurves(tmp_path, stored)
            while curves.read(()):
                pass
    while curves.read((), final=True):
        pass
    curves.close()
    expected = [(float(i), float(f"{i / 7:.4f}")) for i in range(400)]
    assert found(tmp_path)["loss"] == expected
    assert [value for _, value in found(tmp_path)["accuracy"]] == [i % 50 for i in range(400)]


def test_code_that_logs_needs_none(tmp_path: Path) -> None:
    (tmp_path / "logs.txt").write_text("loss: 1\nloss: 2\n")
    assert read_all(tmp_path, own=("anything",)).is_off
    assert found(tmp_path) == {}


@pytest.mark.parametrize("name", ["train/loss", "Train Loss", "train_loss"])
def test_a_name_is_given_up_once_it_is_logged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "logs.txt"
    path.write_text("train loss: 1, acc: 5\ntrain loss: 2, acc: 6\n")
    curves = LogCurves(tmp_path, {})
    while curves.read(()):
        pass
    path.write_text(path.read_text() + "train loss: 3, acc: 7\n")
    while curves.read((name,)):
        pass
    curves.close()
    assert {key: len(points) for key, points in found(tmp_path).items()} == {"train loss": 2, "acc": 3}


@pytest.mark.parametrize(
    "line",
    ["x" * 2_000_000, "iter 1 " * 100_000, "loss=" * 200_000, "[" * 1_000_000, "1/" * 500_000, " " * 1_000_000, "{" * 1_000_000],
)  # fmt: skip
def test_long_lines_are_bounded(tmp_path: Path, line: str) -> None:
    assert curves_of(tmp_path, f"loss: 1\n{line}\nloss: 2\n")["loss"] == [(0, 1), (1, 2)]


def test_bytes_that_are_no_text_harm_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs.txt").write_bytes(b"\xff\xfe loss=1 \x00\n" + bytes(range(256)) + b"\nloss=2\n")
    read_all(tmp_path)
    assert found(tmp_path)["loss"] == [(0, 1), (1, 2)]


def test_no_log_is_no_curve(tmp_path: Path) -> None:
    curves: Any = read_all(tmp_path)
    assert not curves.has_any
