"""Load a model in this process: a `transformers` architecture, a factory's module, or just its named tensors.

Used by the model's host and by a kernel that wants the module itself; both get the same pages of the same files.
Rule: nothing of a model is executed, neither pickles nor code that came with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.weights import files as model_files
from jupyter_ext.weights import mmap, module_builder
from jupyter_ext.weights.json_documents import read_object
from jupyter_ext.weights.module_builder import names_of

log = logging.getLogger(__name__)

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model", "vocab.json")


class CannotLoad(ValueError):
    """A model that cannot be loaded as asked; `code` is for programs, the text is one line for people."""

    def __init__(self, message: str, code: str = "cannot_load") -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Loaded:
    """A loaded model. Without a `module` there are only its `tensors`."""

    path: Path
    module: torch.nn.Module | None
    tensors: dict[str, torch.Tensor]
    tokenizer: Any = None
    architecture: str | None = None
    notices: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    is_transformers: bool = False

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(iter(self.tensors.values())).device if self.tensors else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype | None:
        """What most of its floating weights are, or `None`."""
        counts: dict[torch.dtype, int] = {}
        for tensor in self.tensors.values():
            if tensor.is_floating_point():
                counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
        return max(counts, key=lambda dtype: counts[dtype]) if counts else None


def load(
    path: Path,
    factory: Callable[[], Any] | None = None,
    device: str | None = None,
    dtype: str | None = None,
    weights: str | None = None,
) -> Loaded:
    """Load a model.

    Args:
        path: Its directory, or one weight file.
        factory: Builds the module; without one, `config.json` says what it is.
        device: A torch device; the CPU by default.
        dtype: A floating torch dtype; `None` leaves the weights as they are, and so in the file's own pages.
        weights: The weight file to take, by name.

    Raises:
        CannotLoad: Device or dtype are not there, or module and weights do not go together.
        BadWeights: The weights are not there or not whole.
        Exception: What the factory raised.
    """
    at, kind = check_device(device), _dtype(dtype)
    files = model_files.find(path, weights)
    _check_fit(files, at)
    paths = [file.path for file in files]
    config = _config(path)
    if factory is None and config is not None:
        loaded = _from_transformers(path, config, files, at, kind, weights)
        if loaded is not None:
            return loaded
    tensors = mmap.tensors_of(files, at, kind)
    if factory is None:
        return Loaded(path, None, tensors, notices=[_why_tensors_only(config)], files=paths)
    module, notices = _build(factory, tensors, kind, at)
    loaded = Loaded(path, module, dict(module.state_dict(keep_vars=True)), notices=notices, files=paths)
    loaded.architecture = type(module).__name__
    return loaded


def import_for(path: Path) -> None:
    """Import what a model will need, so that its own memory and time are not mixed up with those of imports."""
    config = _config(path)
    if config is not None and importlib.util.find_spec("transformers") is not None:
        getattr(importlib.import_module("transformers"), str(config["architectures"][0]), None)


def check_device(text: str | None) -> torch.device:
    """Return the device of a name.

    Raises:
        CannotLoad: There is no such device here.
    """
    try:
        device = torch.device(text or "cpu")
    except RuntimeError:
        raise CannotLoad(f"device {text!r} is unknown; give cpu, cuda, cuda:0 or mps.", "device") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise CannotLoad(
                f"device {text!r} is not there: torch {torch.__version__} finds no CUDA device; use cpu.",
                "device",
            )
        if (device.index or 0) >= count:
            raise CannotLoad(f"device {text!r} is not there; there are cuda:0 to cuda:{count - 1}.", "device")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise CannotLoad(f"device {text!r} is not there: torch finds no Apple GPU; use cpu.", "device")
    elif device.type != "cpu":
        raise CannotLoad(f"device {text!r} cannot hold a model; give cpu, cuda, cuda:0 or mps.", "device")
    return device


def _dtype(text: str | None) -> torch.dtype | None:
    found = None if text is None else getattr(torch, text, None)
    if text is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise CannotLoad(f"dtype {text!r} is unknown; give float32, float16, bfloat16 or float64.", "dtype")
    return found


def _check_fit(files: list[model_files.WeightFile], device: torch.device) -> None:
    if device.type != "cuda":
        return
    needed, (free, total) = sum(file.bytes for file in files), torch.cuda.mem_get_info(device)
    if needed > free:
        raise CannotLoad(
            f"The weights take {format_bytes(needed)}, {device} has {format_bytes(free)} of {format_bytes(total)} free; "
            "unload another model, or choose a smaller dtype or the cpu.",
            "device_memory",
        )


def _config(path: Path) -> dict[str, Any] | None:
    config = read_object(path / "config.json") or {}
    names = config.get("architectures")
    is_named = isinstance(names, list) and bool(names) and isinstance(names[0], str)
    return config if is_named else None


def _why_tensors_only(config: dict[str, Any] | None) -> str:
    if config is None:
        return "Only its tensors are loaded: no config.json says what it is; give factory=… to call it."
    name = str(config["architectures"][0])
    if importlib.util.find_spec("transformers") is None:
        return f"Only its tensors are loaded: {name} needs transformers, which this interpreter has not."
    version = importlib.import_module("transformers").__version__
    return f"Only its tensors are loaded: transformers {version} has no {name}; give factory=… to call it."


def _build(
    factory: Callable[[], Any],
    tensors: dict[str, torch.Tensor],
    dtype: torch.dtype | None,
    device: torch.device,
) -> tuple[torch.nn.Module, list[str]]:
    own = Loaded(Path(), None, tensors).dtype
    try:
        module, notices = module_builder.build(factory, tensors, dtype or own)
    except module_builder.CannotBuild as error:
        raise CannotLoad(str(error)) from None
    return module.to(device), notices


def _from_transformers(
    path: Path,
    config: dict[str, Any],
    files: list[model_files.WeightFile],
    device: torch.device,
    dtype: torch.dtype | None,
    weights: str | None,
) -> Loaded | None:
    """Load by `transformers`, or give `None` where it is not there or does not know the architecture."""
    if importlib.util.find_spec("transformers") is None:
        return None
    transformers = importlib.import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    architecture = str(config["architectures"][0])
    kind: Any = getattr(transformers, architecture, None)
    if not architecture.isidentifier() or not hasattr(kind, "from_pretrained"):
        return None
    if weights is None:
        module, notices = _pretrained(transformers, kind, path, dtype)
        module = module.to(device)
    else:
        made = transformers.AutoConfig.from_pretrained(str(path), local_files_only=True)
        tensors = mmap.tensors_of(files, device, dtype)
        module, notices = _build(lambda: kind(made), tensors, dtype, device)
    tokenizer, tokenizer_notices = _tokenizer(transformers, path)
    return Loaded(
        path,
        module.eval(),
        dict(module.state_dict(keep_vars=True)),
        tokenizer,
        architecture,
        notices + tokenizer_notices,
        [file.path for file in files],
        is_transformers=True,
    )


def _pretrained(transformers: Any, kind: Any, path: Path, dtype: torch.dtype | None) -> tuple[Any, list[str]]:
    """Have `transformers` load it: it knows renamed, tied and computed weights, and maps what needs no change."""
    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    name = "dtype" if (major, minor) >= (4, 56) else "torch_dtype"
    try:
        module, info = kind.from_pretrained(
            str(path),
            **{name: dtype or "auto"},
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CannotLoad(f"transformers cannot load {kind.__name__} from {path.name}: {line}") from error
    notices = []
    if missing := sorted(info.get("missing_keys") or ()):
        notices.append(f"Not in the weights and so drawn at random: {names_of(missing)}.")
    if unused := sorted(info.get("unexpected_keys") or ()):
        notices.append(f"Not used of the weights: {names_of(unused)}.")
    return module, notices


def _tokenizer(transformers: Any, path: Path) -> tuple[Any, list[str]]:
    if not any((path / name).exists() for name in _TOKENIZER_FILES):
        return None, []
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    except Exception as error:
        log.warning("the tokenizer of %s cannot be read", path, exc_info=True)
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return None, [f"Its tokenizer cannot be read, so it takes tensors and no text: {line}"]
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, []
