"""How a notebook says what builds a model's module, and that module in the notebook itself.

Rule: nothing of the code is executed here unless the notebook asks for the module.
"""

from __future__ import annotations

import base64
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from jupyter_ext.client.capture.capture import capture_factory
from jupyter_ext.client.capture.cell_labels import notebook_label
from jupyter_ext.config import locations
from jupyter_ext.errors import InvalidInput, LoadFailed
from jupyter_ext.ids import is_training_id
from jupyter_ext.protocol.models import LocalModel
from jupyter_ext.protocol.module_options import ModuleOptions

_PLAIN = ("weights", "batch")


def host_options(
    options: Mapping[str, object], label_of: Callable[[str], str] = notebook_label
) -> ModuleOptions:
    """Turn the options of `load` into what a model's process understands.

    Args:
        options: `factory`, a class or function that builds the module, or a class's name in the code of a training;
            `weights`, the weight file to take by name; `batch`, whether concurrent calls may be computed together;
            and whatever else is to be passed to the factory.
        label_of: Returns what to call a file of code in a traceback.

    Raises:
        InvalidInput: There are arguments without a factory, or it is none.
        CannotTravel: The factory uses a name that cannot be sent.
    """
    rest = dict(options)
    factory = rest.pop("factory", None)
    payload = cast("ModuleOptions", {name: rest.pop(name) for name in _PLAIN if rest.get(name) is not None})
    rest = {name: value for name, value in rest.items() if name not in _PLAIN}
    if rest and (factory is None or isinstance(factory, str)):
        raise InvalidInput(
            f"load() has no option {next(iter(rest))!r}; device, dtype, keep_alive, pin, force, factory, weights and "
            "batch are options, and others are passed to a factory."
        )
    if isinstance(factory, str):
        payload["factory_name"] = factory
        return payload
    if factory is not None:
        bundle = capture_factory(_with(factory, rest), label_of)
        payload["factory"], payload["sys_path"] = base64.b64encode(bundle).decode(), sys.path[:]
    return payload


def torch_module(
    model: LocalModel,
    options: Mapping[str, object] | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Any:
    """Return the model's real `nn.Module` in this process, over the same pages of the same files: no copy.

    Args:
        model: One that is here.
        options: As for `load`: `factory` and its arguments, `weights`.
        device: Where the weights go; anything but the CPU is a copy.
        dtype: What floating weights become; another one is a copy.

    Raises:
        LoadFailed: It cannot be built: not here, no factory, weights and module differ.
        Exception: What the factory raised.
    """
    if model.path is None:
        raise LoadFailed(f"{model.id} is {model.state}; download it first.")
    from jupyter_ext.weights import files as model_files
    from jupyter_ext.weights import loader

    rest = dict(options or {})
    factory: Any = rest.pop("factory", None)
    weights = cast("str | None", rest.pop("weights", None))
    rest = {name: value for name, value in rest.items() if name != "batch"}
    if isinstance(factory, str):
        factory = _of_training(model.id, factory)
    elif factory is not None:
        factory = _with(factory, rest)
    try:
        loaded = loader.load(Path(model.path), factory, device, dtype, weights)
    except (loader.CannotLoad, model_files.BadWeights) as error:
        raise LoadFailed(str(error)) from None
    if loaded.module is None:
        raise LoadFailed(f"{loaded.notices[0]} (torch(factory=YourModule))")
    return loaded.module


def _with(factory: Any, arguments: Mapping[str, object]) -> Any:
    """Return a factory that is given its arguments."""
    return functools.partial(factory, **arguments) if arguments else factory


def _of_training(model_id: str, name: str) -> Any:
    """Return a name of a training's code, which is executed for that in a module of its own."""
    from jupyter_ext.worker.runtime.user_code import UserCode

    source, _, training = model_id.partition(":")
    if source != "training" or not is_training_id(training):
        raise InvalidInput(
            f"factory={name!r} is a name, which only a training's code has; give the class itself."
        )
    code = UserCode(locations().runs_dir / training / "code")
    if code.kind == "script":
        raise LoadFailed("The training was a script: executing it would train again; give the class itself.")
    module = ModuleType(f"training_{training}")
    module.__dict__["__builtins__"] = __builtins__
    code.load(module)
    if not callable(found := vars(module).get(name)):
        raise InvalidInput(f"The training's code has no {name!r} to build a module.")
    return found
