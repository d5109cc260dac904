"""Environment variables that count when a process starts, or when a library is loaded, and never again. Standard library only.

A worker that is forked from a warm interpreter comes too late for them. Rule: where the caller's differ from those of the warm
interpreter, the worker starts in a fresh process that has them from its first moment.
"""

from __future__ import annotations

from collections.abc import Mapping

SETTINGS_VARIABLE = "JUPYTER_EXT_PROCESS_SETTINGS"
"""Settings of the caller's process that are no variables travel beside its variables; see `worker.runtime.process_setup`."""

_READ_BY = {
    "Python": ("PYTHONDEVMODE", "PYTHONHASHSEED", "PYTHONINTMAXSTRDIGITS", "PYTHONMALLOC", "PYTHONNODEBUGRANGES",
               "PYTHONOPTIMIZE", "PYTHONTRACEMALLOC", "PYTHONUTF8"),
    "the dynamic linker": ("LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_", "TCMALLOC_"),
    "OpenMP": ("OMP_", "GOMP_", "KMP_"),
    "MKL or oneDNN": ("MKL_", "DNNL_", "ONEDNN_"),
    "numpy": ("OPENBLAS_", "BLIS_", "VECLIB_", "NPY_", "NUMEXPR_"),
    "torch": ("PYTORCH_", "TORCH_LOGS", "TORCH_TRACE", "ATEN_", "TORCH_CPP_LOG_LEVEL", "NNPACK_", "XNNPACK_"),
}  # fmt: skip
"""Beginnings of names (those that end in `_`) or whole names, by who reads them."""
_SET_BY_LIBRARIES = frozenset({"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"})
"""Variables that libraries set themselves when they are imported: no wish of the user's."""
_WAITING = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
"""How long OpenMP's threads spin at a barrier: rounds for GNU's, milliseconds for Intel's and LLVM's. By default they spin for so
long that beside a busy neighbour each barrier waits for a time slice; this much costs a training that is alone nothing."""
_CHOOSES_WAITING = ("OMP_WAIT_POLICY", *_WAITING)


def waiting_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep OpenMP's threads from spinning beside others; none where the user has chosen."""
    return {} if any(name in environ for name in _CHOOSES_WAITING) else dict(_WAITING)


def read_at_start(caller: Mapping[str, str], warm: Mapping[str, str]) -> dict[str, list[str]]:
    """Name the variables that a fresh process would see and a warm one has missed.

    Args:
        caller: The caller's environment.
        warm: That of the warm interpreter.

    Returns:
        Their names, by who reads them.
    """
    ours = frozenset(_WAITING)
    missed: dict[str, list[str]] = {}
    for name in sorted(caller.keys() | warm.keys()):
        if name in _SET_BY_LIBRARIES or caller.get(name) == warm.get(name):
            continue
        if name in ours and name not in caller and warm[name] == _WAITING[name]:
            continue
        reader = _reader(name)
        if reader is not None:
            missed.setdefault(reader, []).append(name)
    return missed


def why_fresh(missed: Mapping[str, list[str]]) -> str:
    """Return the line that tells the user why a worker starts in a fresh process."""
    parts = [f"{' and '.join(names)} (read by {reader})" for reader, names in missed.items()]
    return (
        f"Started in a fresh process, because the notebook's {', '.join(parts)} can only be set before a process starts; "
        "the first line came later for it."
    )


def _reader(name: str) -> str | None:
    for reader, names in _READ_BY.items():
        if any(name == known or (known.endswith("_") and name.startswith(known)) for known in names):
            return reader
    return None
