"""From a text encoder's token vectors to one vector per text, as sentence-transformers' `modules.json` says.

Shapes: B texts, T tokens, D features.
Source: https://sbert.net (modules.json, 1_Pooling/config.json, sentence_bert_config.json).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jupyter_ext.weights.json_documents import BadJson, read_document, read_object

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
        """Pool token vectors of shape [B, T, D] under a mask [B, T], and return [B, D]."""
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
    steps = _steps(path)
    if steps is None:
        return Pooling(
            notice="It does not say how to make one vector of a text; the mean over its tokens is used."
        )
    kinds = [str(step.get("type", "")).rpartition(".")[2] for step in steps]
    unknown = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        return Pooling(
            refused=f"modules.json has the step {unknown[0]}, which is not built in; pass tensors, or use m.torch()."
        )
    pooling = next((step for step, kind in zip(steps, kinds, strict=True) if kind == "Pooling"), {})
    folder = _inside(path, str(pooling.get("path", "")))
    wanted, mode = _mode(read_object(folder / "config.json") or {})
    if mode is None:
        return Pooling(
            refused=f"Pooling by {', '.join(wanted)} is not built in; pass tensors, or use m.torch()."
        )
    limit = (read_object(path / "sentence_bert_config.json") or {}).get("max_seq_length")
    return Pooling(
        mode, "Normalize" in kinds, limit if isinstance(limit, int) and 0 < limit < 1 << 31 else None
    )


def _steps(path: Path) -> list[dict[str, Any]] | None:
    """Read the steps of `modules.json`, or return `None` where there are none."""
    try:
        steps = read_document(path / "modules.json")
    except BadJson:
        return None
    is_list = isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
    return steps if is_list else None


def _mode(config: dict[str, Any]) -> tuple[list[str], str | None]:
    """Read how a `Pooling` step pools: what it asks for, and the mode that does so or `None`."""
    if config.get("pooling_mode"):
        wanted = [str(config["pooling_mode"])]
        return wanted, wanted[0] if wanted[0] in _MODES.values() else None
    wanted = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if not wanted:
        return wanted, "mean"
    return wanted, _MODES.get(wanted[0]) if len(wanted) == 1 else None


def _inside(directory: Path, name: str) -> Path:
    return directory / os.path.basename(name)
