"""Whether a model can be launched here."""

from __future__ import annotations

from jupyter_ext.engine.api.decthings.rpc.calls import Refusal
from jupyter_ext.engine.decthings.model_store import MAIN, StoredModel


def check_runnable(model: StoredModel) -> None:
    """Make sure that a model can be launched here.

    Raises:
        Refusal: It is of another language, has no `main.py`, or that is no text.
    """
    if model.about.get("language") not in ("python", None):
        raise Refusal("invalid_executor_type")
    try:
        (model.files / MAIN).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refusal("invalid_executable") from None
    except OSError:
        raise Refusal("read_executable_file_failed") from None
