"""Generate text token by token with `transformers`, stoppable after each token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from jupyter_ext.worker.model_host.tensor_io import BadInput

MAX_NEW_TOKENS = 256
"""What is made where nobody says how much."""
_UNFINISHED = "\ufffd"
"""What a decoder writes for a character whose bytes have not all come."""


class _Streamer:
    """Gets every new token of `generate`, and tells the text that they make."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str, int], None]) -> None:
        self._tokenizer, self._on_text = tokenizer, on_text
        self._told = ""
        self._prompt = True
        self.tokens: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, then token after token."""
        if self._prompt:
            self._prompt = False
            return
        self.tokens += value.reshape(-1).tolist()
        text = self.text()
        if not text.endswith(_UNFINISHED):
            self._tell(text)

    def end(self) -> None:
        """Tell what is left."""
        self._tell(self.text())

    def text(self) -> str:
        """Return the text so far."""
        if self._tokenizer is None:
            return " ".join(map(str, self.tokens))
        return str(self._tokenizer.decode(self.tokens, skip_special_tokens=True))

    def _tell(self, text: str) -> None:
        new, self._told = text[len(self._told) :], text
        if new:
            self._on_text(new, len(self.tokens))


def generate(
    module: Any,
    tokenizer: Any,
    prompt: Any,
    options: dict[str, Any],
    on_text: Callable[[str, int], None],
    canceled: Callable[[], bool],
) -> dict[str, Any]:
    """Generate; see `Inference.generate`."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Stop(StoppingCriteria):
        """Stops every row when the call is canceled."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            return torch.full((len(input_ids),), canceled(), dtype=torch.bool, device=input_ids.device)

    options = dict(options)
    if (seed := options.pop("seed", None)) is not None:
        torch.manual_seed(int(seed))
    if "max_new_tokens" not in options and "max_length" not in options:
        options["max_new_tokens"] = MAX_NEW_TOKENS
    inputs = _inputs(module, tokenizer, prompt)
    if "stop_strings" in options:
        options["tokenizer"] = tokenizer
    if (
        tokenizer is not None
        and "pad_token_id" not in options
        and module.generation_config.pad_token_id is None
    ):
        options["pad_token_id"] = tokenizer.pad_token_id
    streamer = _Streamer(tokenizer, on_text)
    length = options.get("max_new_tokens")
    module.generate(**inputs, **options, streamer=streamer, stopping_criteria=StoppingCriteriaList([Stop()]))
    finish = "canceled" if canceled() else "length" if length == len(streamer.tokens) else "stop"
    return {
        "text": streamer.text(),
        "num_tokens": len(streamer.tokens),
        "num_prompt_tokens": int(inputs["input_ids"].shape[-1]),
        "finish": finish,
    }


def _inputs(module: Any, tokenizer: Any, prompt: Any) -> dict[str, torch.Tensor]:
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        if tokenizer is None or not tokenizer.chat_template:
            raise BadInput("this model has no chat template; give the prompt as one text.")
        inputs = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    elif isinstance(prompt, str):
        if tokenizer is None:
            raise BadInput("this model has no tokenizer; give token ids.")
        inputs = tokenizer([prompt], return_tensors="pt")
    else:
        ids = torch.as_tensor(prompt)
        if ids.ndim > 2 or ids.is_floating_point() or ids.numel() == 0:
            raise BadInput("a prompt is a text, a chat as a list of messages, or token ids.")
        if ids.ndim == 2 and len(ids) > 1:
            raise BadInput(f"{len(ids)} prompts were given; generate takes one at a time.")
        ids = ids.reshape(1, -1)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {
        name: inputs[name].to(module.device) for name in ("input_ids", "attention_mask") if name in inputs
    }
