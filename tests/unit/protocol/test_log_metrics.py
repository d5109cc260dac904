"""Numbers in log lines: those meant as metrics, and no others."""

from __future__ import annotations

import pytest

from jupyter_ext.protocol.log_metrics import read_line


@pytest.mark.parametrize(
    ("line", "metrics", "step"),
    [
        ("step=10 loss=0.25 acc=9.1e-1", {"loss": 0.25, "acc": 0.91}, 10),
        ("Epoch 3 train/loss: 0.5, lr: 1e-3", {"train/loss": 0.5, "lr": 1e-3}, 3),
        ('{"loss": 1.5, "epoch": 2, "ok": true, "name": "x"}', {"loss": 1.5, "epoch": 2}, None),
        (
            "{'loss': 0.7, 'grad_norm': 2.5, 'epoch': 0.1}",
            {"loss": 0.7, "grad_norm": 2.5, "epoch": 0.1},
            None,
        ),
        ("loss=nan", {"loss": "nan"}, None),
        ("10:21:33 INFO server started on http://127.0.0.1:8080", {}, None),
        ("2026-01-01 12:00:00,123 reading /data/file=3.txt", {}, None),
        ("a sentence with no numbers", {}, None),
        ("seed: 42 version: 1.5", {}, None),
        ("", {}, None),
    ],
)
def test_pairs(line: str, metrics: dict[str, float], step: float | None) -> None:
    news = read_line(line)
    assert {name: value if value == value else "nan" for name, value in news.metrics.items()} == metrics
    assert news.step == step


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        (" 50%|█████     | 5/10 [00:05<00:05,  1.00it/s]", (5, 10)),
        ("Training:  25%|██▌| 1/4 [00:01<00:03, loss=0.5]", (1, 4)),
        ("\r 10%|█| 1/10\r 20%|██| 2/10", (2, 10)),
        ("12%|#| 1.2k/10k", (1200, 10000)),
        ("100%", None),
        ("5/10", None),
    ],
)
def test_bars(line: str, progress: tuple[float, float] | None) -> None:
    assert read_line(line).progress == progress


def test_a_bar_may_carry_metrics() -> None:
    news = read_line("Epoch 1:  50%|█████| 5/10 [00:01<00:01, 5.0it/s, loss=0.25, acc=0.5]")
    assert news.metrics == {"loss": 0.25, "acc": 0.5}


def test_any_line_is_survived() -> None:
    for line in ("x" * 100_000, "=" * 5000, "%|" * 2000, "{" * 3000, "\x00\x1b[31mloss=1\x1b[0m"):
        read_line(line)
