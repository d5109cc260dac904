"""The live views as widgets: the panel of a training, the table of runs, and what else `widgets/src/views` has.

Its code is imported from the page's Jupyter server once, or asked of the kernel once where there is no such server;
what travels with each widget is a loader of about 1 kB.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from jupyter_ext_widgets.tunnel import EngineBridge, Tunnel, problem

# Factory form, as `initialize` and `render` are given different model objects. `jxPanel` is the page's one promise of
# [module, server if any]; a failed one is forgotten, so that the next view tries again.
_LOADER = """\
async function load(model) {
 try {
  const { baseUrl: path } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  const baseUrl = new URL(path, location).href, at = baseUrl + "jupyter-ext/";
  const { static: { panel, plotly } } = await (await fetch(at + "info")).json();
  return [await import(at + "static/" + panel), { baseUrl, plotly }];
 } catch (e) { console.debug(e); }
 const id = "code" + Math.random();
 const data = await new Promise((ok, no) => {
  model.on("msg:custom", (m, b) => m.id === id && (m.status < 300 ? ok(b[0]) : no("not built")));
  model.send({ kind: "code", id, name: "panel" });
 });
 return [await import(URL.createObjectURL(new Blob([data], {type: "text/javascript"})))];
}
export default () => ({
 initialize: ({ model }) => model.send({ kind: "loaded" }),
 async render({ model, el }) {
  try {
   const [m, server] = await (globalThis.jxPanel ??= load(model));
   return m.render({ model, el }, server);
  } catch (e) {
   globalThis.jxPanel = null;
   el.textContent = "jupyter-ext: " + e;
  }
 }
});
"""


_LOADED = {"kind": "loaded"}
_VIEWED = {"kind": "viewed"}


class LiveView(anywidget.AnyWidget):
    """Shows one output live: what the MIME type of the same data shows where our extension is.

    Args:
        view: Name of the view in `widgets/src/views`, such as `training`.
        data: What the view is drawn from, as under `application/vnd.jupyter-ext.<view>+json`. New data with the same
            identity (of a training: its id) are only another snapshot.
        bridge: The way to the engine for pages without our server extension; without one such pages show the
            snapshot only.

    Attributes:
        is_loaded: Whether a page has read its code. Closed before that, it makes anywidget throw in that page.
        is_viewed: Whether a page has drawn it: one that knows our MIME type draws that instead.
    """

    _esm = _LOADER

    view = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)

    def __init__(self, view: str, data: Mapping[str, object], *, bridge: EngineBridge | None = None) -> None:
        self.is_loaded = False
        self.is_viewed = False
        self._send_lock = threading.Lock()
        self._tunnel = Tunnel(bridge or _NoDoor(), self._send_custom)
        super().__init__(view=view, data=dict(data))
        self.on_msg(self._on_custom)

    def close(self) -> None:
        """End the widget and its streams."""
        self._tunnel.close()
        super().close()

    def _on_custom(self, _widget: object, content: object, _buffers: object) -> None:
        self.is_loaded = True
        if content == _LOADED:
            return
        self.is_viewed = True
        if content != _VIEWED:
            self._tunnel.handle(content)

    def _send_custom(self, content: dict[str, object], buffers: Sequence[bytes]) -> None:
        with self._send_lock:
            if self.comm is not None:
                self.send(content, list(buffers))


class TrainingPanel(LiveView):
    """Shows one training as it runs, and what it left when it is over.

    Args:
        training_id: The training to show.
        snapshot: The training as last known, drawn where nothing can be reached.
        bridge: The way to the engine for pages without our server extension.
    """

    def __init__(
        self,
        training_id: str,
        *,
        snapshot: Mapping[str, object] | None = None,
        bridge: EngineBridge | None = None,
    ) -> None:
        super().__init__("training", {"id": training_id, "version": 1, "training": snapshot}, bridge=bridge)


class _NoDoor:
    """Answers that there is no engine to ask; a view takes 404 for final and draws its snapshot."""

    def request(self, method: str, path: str, body: object | None) -> tuple[int, str, bytes]:
        detail = (
            "Not connected: this view was made without a client, and this page has no jupyter-ext server."
        )
        return problem(404, "Not connected", detail)

    def open_stream(self, path: str, on_message: object, on_closed: object) -> Any:
        raise ConnectionError(f"This view was made without a client: {path} cannot be opened.")
