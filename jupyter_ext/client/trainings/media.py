"""What a training has logged besides numbers, read back as what it was: `run.media("samples")[-1].value()`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.protocol.media import MediaItem

if TYPE_CHECKING:
    import pandas as pd

_IMAGES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml"}


class Medium:
    """One medium of a training.

    Attributes:
        key: Its name.
        kind: `image`, `histogram`, `table`, `text`, `audio`, `video`, `html`, `plotly`, `confusion_matrix` or `pr_curve`.
        step: Where it was logged.
        time: When, Unix seconds.
        caption: Its caption, or `None`.
        facts: More about it, such as `width` and `height`.
    """

    def __init__(self, client: AsyncClient, training_id: str, item: MediaItem) -> None:
        self._client = client
        self._training_id = training_id
        self._item = item
        self.key = item.key
        self.kind = item.kind
        self.step = item.step
        self.time = item.time
        self.caption = item.caption
        self.facts = dict(item.facts)

    def bytes(self) -> bytes:
        """Return the bytes of its file; of what has none, its JSON.

        Raises:
            UnknownId: The file is gone.
        """
        if self._item.file is None:
            return json.dumps(self._item.data).encode()
        return loop_thread().run(self._client.medium(self._training_id, self._item.file))

    def value(self) -> Any:
        """Return it as what it was.

        Returns:
            Of an image a PIL image; of a histogram `(counts, edges)` as numpy arrays; of a table, a confusion matrix and a
            precision-recall curve a DataFrame; of a plotly figure the figure; of a text and of HTML a text; of audio in WAV
            `(samples, sample_rate)`, samples as numpy from -1 to 1; of anything else its bytes.
        """
        read = _READERS.get(self.kind)
        return self.bytes() if read is None else read(self)

    @property
    def suffix(self) -> str:
        """The ending of its file, such as `png`; `json` where it has none."""
        return "json" if self._item.file is None else self._item.file.partition(".")[2]

    def _json(self) -> Any:
        return self._item.data if self._item.file is None else json.loads(self.bytes())

    def __repr__(self) -> str:
        """Name it."""
        caption = "" if self.caption is None else f", {self.caption!r}"
        return f"<{self.kind} {self.key!r} at step {self.step:g}{caption}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Show a picture as one, and a table as one."""
        shown: dict[str, object] = {"text/plain": repr(self)}
        if self.kind in ("image", "video") and (mime := _IMAGES.get(self.suffix)) is not None:
            data = self.bytes()
            shown[mime] = data.decode("utf-8", "replace") if mime.endswith("xml") else data
        elif self.kind in ("table", "confusion_matrix"):
            shown["text/html"] = self.value().to_html(max_rows=20, notebook=True)
        return shown


class MediaList(list[Medium]):
    """Media by step."""

    def dataframe(self) -> pd.DataFrame:
        """Return one row for each, without what it shows: key, kind, step, time (UTC) and caption."""
        import pandas as pd

        columns = ["key", "kind", "step", "time", "caption"]
        frame = pd.DataFrame([[getattr(item, name) for name in columns] for item in self], columns=columns)
        frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
        return frame


def read(
    client: AsyncClient, training_id: str, key: str | None, kind: str | None, step: float | None
) -> MediaList:
    """Return the media of a training, of one key, kind or step where these are given."""
    items = loop_thread().run(client.media(training_id))
    return MediaList(
        Medium(client, training_id, item)
        for item in sorted(items, key=lambda item: (item.step, item.time, item.index))
        if key in (None, item.key) and kind in (None, item.kind) and step in (None, item.step)
    )


def _image(item: Medium) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(item.bytes())) if item.suffix != "svg" else item.bytes().decode()


def _histogram(item: Medium) -> Any:
    import numpy as np

    data = item._json()
    return np.asarray(data["counts"]), np.asarray(data["edges"])


def _table(item: Medium) -> Any:
    import pandas as pd

    data = item._json()
    return pd.DataFrame(data["rows"], columns=data["columns"])


def _confusion(item: Medium) -> Any:
    import pandas as pd

    data = item._json()
    rows = pd.Index(data["labels"], name="true")
    return pd.DataFrame(data["counts"], index=rows, columns=pd.Index(data["labels"], name="predicted"))


def _curve(item: Medium) -> Any:
    import pandas as pd

    return pd.DataFrame(item._json())


def _figure(item: Medium) -> Any:
    import plotly.io

    return plotly.io.from_json(item.bytes().decode())


def _audio(item: Medium) -> Any:
    import wave

    import numpy as np

    if item.suffix != "wav":
        return item.bytes()
    with wave.open(io.BytesIO(item.bytes())) as file:
        if file.getsampwidth() != 2:
            return item.bytes()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_767
        shape = (-1, file.getnchannels()) if file.getnchannels() > 1 else (-1,)
        return samples.reshape(shape), file.getframerate()


_READERS = {
    "image": _image,
    "histogram": _histogram,
    "table": _table,
    "confusion_matrix": _confusion,
    "pr_curve": _curve,
    "plotly": _figure,
    "text": lambda item: item._json(),
    "html": lambda item: item.bytes().decode("utf-8", "replace"),
    "audio": _audio,
}
