"""What a call into a loaded model computes: forward, embeddings or labels of text, generated text; several at a time.

Rule: a batch gives every caller what the call alone would have given, within the rounding of its dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from jupyter_ext.weights.loader import Loaded
from jupyter_ext.worker.model_host import pooling as model_pooling
from jupyter_ext.worker.model_host.tensor_io import (
    BadInput,
    Kind,
    is_text,
    leading,
    map_tensors,
    of_kind,
    texts_of,
    to_tensors,
)

Task = Literal["embed", "classify", "generate", "forward", "tensors"]
Canceled = Callable[[], bool]

TEXTS_AT_ONCE = 32
_TOLERANCE = {torch.float16: 5e-3, torch.bfloat16: 5e-2, torch.float32: 1e-4, torch.float64: 1e-9}


class Stopped(Exception):
    """A call saw that it was canceled."""


@dataclass
class Request:
    """One call's arguments, ready to be computed. `texts` is set where they are text; `kind` is what results become."""

    args: list[Any]
    kwargs: dict[str, Any]
    kind: Kind = "other"
    texts: list[str] | None = None
    single: bool = False


class Inference:
    """Computes calls of one model.

    Args:
        loaded: The model.
        batch: Whether calls may be computed together; `None` for models of `transformers`, whose first dimension is
            the batch by their interface. Of others it is tried on the first batch, and given up where results differ.
    """

    def __init__(self, loaded: Loaded, batch: bool | None = None) -> None:
        self._loaded = loaded
        self._batch = loaded.is_transformers if batch is None else batch
        self._batch_proven = loaded.is_transformers
        self.task: Task = _task(loaded)
        self.notices: list[str] = []
        self.num_batches = 0

    @functools.cached_property
    def _pooling(self) -> model_pooling.Pooling:
        pooling = model_pooling.read(self._loaded.path)
        if pooling.notice:
            self.notices.append(pooling.notice)
        return pooling

    def prepare(self, args: list[Any], kwargs: dict[str, Any]) -> Request:
        """Turn arguments into what the module takes.

        Raises:
            BadInput: The model cannot take this.
        """
        loaded = self._loaded
        if loaded.module is None:
            raise BadInput(loaded.notices[0])
        if loaded.tokenizer is not None and len(args) == 1 and is_text(args[0]):
            return Request([], kwargs, texts=texts_of(args[0]), single=isinstance(args[0], str))
        if loaded.is_transformers and len(args) == 1 and isinstance(args[0], dict):
            args, kwargs = [], {**args[0], **kwargs}
        taken = [to_tensors(item, loaded.device, loaded.dtype) for item in args]
        named, kind = to_tensors(kwargs, loaded.device, loaded.dtype)
        return Request([item for item, _ in taken], named, leading((*(kind for _, kind in taken), kind)))

    def batch_key(self, request: Request) -> Any:
        """Return what calls must have in common to be computed together, or `None` where this one cannot be."""
        if not self._batch:
            return None
        if request.texts is not None:
            return None if self.task == "generate" or request.kwargs else "texts"
        values: dict[Any, Any] = {**dict(enumerate(request.args)), **request.kwargs}
        if not values or not all(isinstance(item, torch.Tensor) and item.ndim for item in values.values()):
            return None
        if len({len(item) for item in values.values()}) != 1:
            return None
        return tuple((key, item.dtype, tuple(item.shape[1:])) for key, item in values.items())

    def call(self, request: Request, canceled: Canceled) -> Any:
        """Compute one call.

        Raises:
            BadInput: The model cannot take this.
            Stopped: It was canceled.
            Exception: What the module raised.
        """
        with torch.inference_mode():
            if request.texts is not None:
                return self._text(request, canceled)
            return of_kind(self._forward(request.args, request.kwargs), request.kind)

    def call_batch(self, requests: Sequence[Request], canceled: Canceled) -> list[Any]:
        """Compute calls of one key together; the results are those of single calls, in order.

        Raises:
            Exception: One of them failed; compute them one by one to learn which.
        """
        self.num_batches += 1
        with torch.inference_mode():
            if requests[0].texts is not None:
                return self._texts_together(requests, canceled)
            sizes = [len(next(iter([*request.args, *request.kwargs.values()]))) for request in requests]
            args = [torch.cat(items) for items in zip(*(request.args for request in requests), strict=True)]
            kwargs = {
                name: torch.cat([request.kwargs[name] for request in requests]) for name in requests[0].kwargs
            }
            split = _split(map_tensors(self._forward(args, kwargs), lambda tensor: tensor), sizes)
            if split is None or not (self._batch_proven or self._prove(requests, split)):
                self._batch = False
                self.notices.append(
                    "Concurrent calls are computed one by one: together they gave other results."
                )
                return [self.call(request, canceled) for request in requests]
            return [of_kind(part, request.kind) for part, request in zip(split, requests, strict=True)]

    def _prove(self, requests: Sequence[Request], split: list[Any]) -> bool:
        """Tell whether a batch gave what single calls give, once per model."""
        tolerance = _TOLERANCE.get(self._loaded.dtype or torch.float32, 1e-4)
        self._batch_proven = all(
            _close(
                map_tensors(self._forward(request.args, request.kwargs), lambda tensor: tensor),
                part,
                tolerance,
            )
            for request, part in zip(requests, split, strict=True)
        )
        return self._batch_proven

    def _forward(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        assert self._loaded.module is not None
        return self._loaded.module(*args, **kwargs)

    # -- text -------------------------------------------------------------------------------------------------------

    def _text(self, request: Request, canceled: Canceled) -> Any:
        texts = request.texts or []
        if self.task == "generate":
            made = [self.generate(text, request.kwargs, lambda *_: None, canceled)["text"] for text in texts]
            return made[0] if request.single else made
        results = self._of_texts(texts, request.kwargs, canceled)
        return results[0] if request.single else results

    def _texts_together(self, requests: Sequence[Request], canceled: Canceled) -> list[Any]:
        results = self._of_texts([text for request in requests for text in request.texts or ()], {}, canceled)
        split, at = [], 0
        for request in requests:
            part = results[at : at + len(request.texts or ())]
            split.append(part[0] if request.single else part)
            at += len(part)
        return split

    def _of_texts(self, texts: list[str], options: dict[str, Any], canceled: Canceled) -> Any:
        """Return vectors [B, D] as an array, or a label with its score per text."""
        if self.task == "embed" and self._pooling.refused:
            raise BadInput(self._pooling.refused)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: list[Any] = [None] * len(texts)
        for begin in range(0, len(order), TEXTS_AT_ONCE):
            if canceled():
                raise Stopped
            chosen = order[begin : begin + TEXTS_AT_ONCE]
            for index, row in zip(chosen, self._few_texts([texts[i] for i in chosen], options), strict=True):
                rows[index] = row
        return torch.stack(rows).numpy() if self.task == "embed" else rows

    def _few_texts(self, texts: list[str], options: dict[str, Any]) -> Any:
        module: Any = self._loaded.module
        tokenizer = self._loaded.tokenizer
        limit = self._pooling.max_tokens if self.task == "embed" else None
        limit = limit or _max_tokens(tokenizer, module)
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt").to(
            self._loaded.device
        )
        output = module(**tokens, **options)
        if self.task == "embed":
            return self._pooling(output.last_hidden_state, tokens["attention_mask"]).float().cpu()
        scores_BC = output.logits.float().softmax(dim=-1).cpu()
        if scores_BC.ndim != 2:
            raise BadInput(
                f"{self._loaded.architecture} gives no one answer for a text; pass its tokens as tensors."
            )
        labels = module.config.id2label
        return [{"label": labels[int(row.argmax())], "score": float(row.max())} for row in scores_BC]

    def generate(
        self,
        prompt: Any,
        options: dict[str, Any],
        on_text: Callable[[str, int], None],
        canceled: Canceled,
    ) -> dict[str, Any]:
        """Generate text.

        Args:
            prompt: A text, a chat as a list of `{"role", "content"}`, or token ids.
            options: Of `transformers`' `generate`, and `seed`.
            on_text: Gets each piece of text and how many tokens there are now.
            canceled: Asked after each token.

        Returns:
            `text`, `num_tokens`, `num_prompt_tokens` and `finish`: "stop", "length" or "canceled".
        """
        module, tokenizer = self._loaded.module, self._loaded.tokenizer
        if module is None or self.task != "generate":
            raise BadInput(f"{self._loaded.architecture or 'this model'} cannot generate; call it instead.")
        from jupyter_ext.worker.model_host.generation import generate

        with torch.inference_mode():
            return generate(module, tokenizer, prompt, options, on_text, canceled)


def _task(loaded: Loaded) -> Task:
    module = loaded.module
    if module is None:
        return "tensors"
    if not loaded.is_transformers:
        return "forward"
    can = getattr(module, "can_generate", None)
    if callable(can) and can():
        return "generate"
    if loaded.tokenizer is None:
        return "forward"
    return "classify" if (loaded.architecture or "").endswith("ForSequenceClassification") else "embed"


def _max_tokens(tokenizer: Any, module: Any) -> int | None:
    limits = [tokenizer.model_max_length, getattr(module.config, "max_position_embeddings", None)]
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 1 << 30]
    return min(known) if known else None


def _split(result: Any, sizes: Sequence[int]) -> list[Any] | None:
    """Cut a result along its first dimension, or return `None` where something in it has another length."""
    if isinstance(result, torch.Tensor):
        is_batch = result.ndim > 0 and result.shape[0] == sum(sizes)
        return list(torch.split(result, list(sizes))) if is_batch else None
    if isinstance(result, dict):
        rows = _split_all(result.values(), sizes)
        return None if rows is None else [dict(zip(result, row, strict=True)) for row in rows]
    if isinstance(result, list | tuple):
        rows = _split_all(result, sizes)
        return None if rows is None else [row if isinstance(result, list) else tuple(row) for row in rows]
    return None


def _split_all(items: Iterable[Any], sizes: Sequence[int]) -> list[list[Any]] | None:
    """Cut several results, and return for each size the parts of all, or `None` where one cannot be cut."""
    rows: list[list[Any]] = [[] for _ in sizes]
    for item in items:
        parts = _split(item, sizes)
        if parts is None:
            return None
        for row, part in zip(rows, parts, strict=True):
            row.append(part)
    return rows


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, torch.Tensor):
        return one.shape == other.shape and torch.allclose(
            one.double(), other.double(), tolerance, tolerance, equal_nan=True
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key], tolerance) for key in one)
    return len(one) == len(other) and all(_close(a, b, tolerance) for a, b in zip(one, other, strict=True))
