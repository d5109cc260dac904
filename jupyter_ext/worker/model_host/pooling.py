"""From a text encoder's token vectors to one vector per text, as sentence-transformers' `modules.json` says.

Shapes: B texts, T tokens, D features.
Source: https://sbert.net (modules.json, 1_Pooling/config.json, sentence_bert_config.json).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Pooling:
    """How to pool. `max_tokens` cuts a text; `refused` says why no text can be embedded, where that is so."""

    mode: str = "mean"
    normalize: bool = False
    max_tokens: int | None = None
    notice: str | None = None
    refused: str | None = None

    def __call__(self, tokens_BTD: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """Pool token vectors of shape [B, T, D] under a mask [B, T]; gives [B, D]."""
        mask_BT1 = mask_BT.unsqueeze(-1).to(tokens_BTD.dtype)
        if self.mode == "cls":
            first_B = mask_BT.to(torch.int64).argmax(dim=1)
            pooled_BD = tokens_BTD[torch.arange(len(tokens_BTD)), first_B]
        elif self.mode == "max":
            pooled_BD = tokens_BTD.masked_fill(mask_BT1 == 0, -torch.inf).amax(dim=1)
        elif self.mode == "lasttoken":
            positions_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
            last_B = (mask_BT.to(torch.int64) * positions_T).argmax(dim=1)
            pooled_BD = tokens_BTD[torch.arange(len(tokens_BTD)), last_B]
        else:
            pooled_BD = (tokens_BTD * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1).clamp(min=1e-9)
        return torch.nn.functional.normalize(pooled_BD, dim=-1) if self.normalize else pooled_BD


def read(path: Path) -> Pooling:
    """Read how a model's vectors are meant to be pooled; mean without normalization where it does not say."""
    steps = _json(path / "modules.json")
    if not isinstance(steps, list):
        return Pooling(
            notice="It does not say how to make one vector of a text; the mean over its tokens is used."
        )
    kinds = [str(step.get("type", "")).rpartition(".")[2] for step in steps]
    unknown = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        return Pooling(
            refused=f"modules.json has the step {unknown[0]}, which is not built in; pass tensors, or use m.torch()."
        )
    pooling: dict[str, Any] = next(
        (step for step, kind in zip(steps, kinds, strict=True) if kind == "Pooling"), {}
    )
    config = _json(_inside(path, str(pooling.get("path", ""))) / "config.json") or {}
    modes = [mode for key, mode in _MODES.items() if config.get(key)]
    wanted = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if config.get("pooling_mode"):
        modes = wanted = [str(config["pooling_mode"])]
    if len(wanted) > 1 or (wanted and modes[:1] not in [[mode] for mode in _MODES.values()]):
        return Pooling(
            refused=f"Pooling by {', '.join(wanted)} is not built in; pass tensors, or use m.torch()."
        )
    limit = (_json(path / "sentence_bert_config.json") or {}).get("max_seq_length")
    return Pooling(
        modes[0] if modes else "mean",
        "Normalize" in kinds,
        limit if isinstance(limit, int) and limit > 0 else None,
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _inside(directory: Path, name: str) -> Path:
    return directory / os.path.basename(name)
