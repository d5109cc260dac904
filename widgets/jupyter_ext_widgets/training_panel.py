"""The live panel of one training as a widget.

Its code is imported from the page's Jupyter server once, or asked of the kernel once where there is no such server;
what travels with each widget is a loader of less than 1 kB.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from jupyter_ext_widgets.tunnel import EngineDoor, Tunnel

# Factory form, as `initialize` and `render` are given different model objects. `J` holds the page's one promise of
# [module, server or null]; a failed one is forgotten, so that the next view tries again.
_LOADER = """\
const G = globalThis, J = "jupyterExtPanel";
async function load(model) {
  try {
    const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
    const at = base + "jupyter-ext/", r = await fetch(at + "info");
    const { panel, plotly } = (await r.json()).static;
    return [await import(at + "static/" + panel), { baseUrl: base, plotly }];
  } catch {}
  const id = "code" + Math.random();
  const data = await new Promise((ok, no) => {
    model.on("msg:custom", (m, b) => m.id === id && (m.status === 200 ? ok(b[0]) : no(Error("No panel code in the kernel"))));
    model.send({ kind: "code", id, name: "panel" });
  });
  return [await import(URL.createObjectURL(new Blob([data], { type: "text/javascript" }))), null];
}
export default () => ({
  async render({ model, el }) {
    try {
      const [m, s] = await (G[J] ??= load(model));
      return m.render({ model, el }, s);
    } catch (e) {
      G[J] = null;
      el.textContent = "The training panel could not be loaded: " + e;
    }
  }
});
"""


class TrainingPanel(anywidget.AnyWidget):
    """Shows one training as it runs, and what it left when it is over.

    Args:
        training_id: The training to show.
        snapshot: The training as last known, drawn where nothing can be reached.
        door: The way to the engine for pages without our server extension; without one such pages show the
            snapshot only.
    """

    _esm = _LOADER

    training_id = traitlets.Unicode().tag(sync=True)
    snapshot = traitlets.Dict().tag(sync=True)

    def __init__(
        self, training_id: str, *, snapshot: Mapping[str, Any] | None = None, door: EngineDoor | None = None
    ) -> None:
        self._send_lock = threading.Lock()
        self._tunnel = Tunnel(door or _NoDoor(), self._send_custom)
        super().__init__(training_id=training_id, snapshot=dict(snapshot or {}))
        self.on_msg(self._on_custom)

    def close(self) -> None:
        """End the widget and its streams."""
        self._tunnel.close()
        super().close()

    def _on_custom(self, _widget: object, content: object, _buffers: object) -> None:
        self._tunnel.handle(content)

    def _send_custom(self, content: dict[str, Any], buffers: Sequence[bytes]) -> None:
        with self._send_lock:
            if self.comm is not None:
                self.send(content, list(buffers))


class _NoDoor:
    """Answers that there is no engine to ask."""

    def request(self, method: str, path: str, body: object | None) -> tuple[int, str, bytes]:
        raise ConnectionError("This panel was made without a client; only its code comes through the kernel.")

    def open_stream(self, path: str, on_message: object, on_closed: object) -> Any:
        raise ConnectionError("This panel was made without a client; only its code comes through the kernel.")
