"""Arrow arrays of points: made of buffers, because `pyarrow.array` and `to_numpy` import pandas, 200 ms and 44 MiB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")


def numbers_of(numbers: NDArray[Any], dtype: Any) -> Any:
    """Return an Arrow array of a type as wide as the numbers are."""
    import pyarrow as pa

    return pa.Array.from_buffers(dtype, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def microseconds_of(times: NDArray[np.float64]) -> Any:
    """Return times (Unix s) as Arrow's timestamps in microseconds, UTC."""
    import pyarrow as pa

    return numbers_of(np.rint(times * 1e6).astype(np.int64), pa.timestamp("us", tz="UTC"))


def words_of(words: Sequence[str], times: Sequence[int]) -> Any:
    """Return a dictionary array that has each word so many times in a row."""
    import pyarrow as pa

    known = sorted(set(words))
    places = {word: place for place, word in enumerate(known)}
    numbers = np.repeat(np.array([places[word] for word in words], np.int32), times)
    return pa.DictionaryArray.from_arrays(numbers_of(numbers, pa.int32()), _strings(known))


def _strings(words: Sequence[str]) -> Any:
    import pyarrow as pa

    encoded = [word.encode("utf-8", "replace") for word in words]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(words), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    )
