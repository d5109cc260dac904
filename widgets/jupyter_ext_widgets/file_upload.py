"""A button that sends files of the browser's machine to the kernel, piece by piece.

ipywidgets' own sends a file whole, keeps it in the widget's state, and cuts the kernel's connection from 10 MiB on.
The rule: one piece at a time, each answered, so that a file of any size needs the memory of one piece.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO, Any

import anywidget
import traitlets

_ESM = """\
const PIECE = 1 << 20;
export default {
 render({ model, el }) {
  const button = document.createElement("button"), input = document.createElement("input");
  const told = document.createElement("span");
  button.type = "button";
  button.className = "jupyter-widgets jupyter-button widget-button";
  button.textContent = "Upload…";
  button.title = button.ariaLabel = model.get("hint");
  button.style.width = "90px";
  input.type = "file";
  input.multiple = model.get("multiple");
  input.hidden = true;
  told.setAttribute("role", "status");
  told.style.cssText = "margin-left: 6px; font-size: 12px";
  const ask = (content, buffers) => new Promise((resolve, reject) => {
   const id = Math.random().toString(36);
   const answered = message => {
    if (message.id === id) {
     model.off("msg:custom", answered);
     message.error ? reject(new Error(message.error)) : resolve();
    }
   };
   model.on("msg:custom", answered);
   model.send({ ...content, id }, undefined, buffers);
  });
  const send = async file => {
   const key = Math.random().toString(36);
   await ask({ kind: "begin", key, name: file.name, size: file.size });
   for (let at = 0; at < file.size; at += PIECE) {
    told.textContent = `${file.name} ${Math.floor(100 * at / file.size)} %`;
    await ask({ kind: "piece", key }, [await file.slice(at, at + PIECE).arrayBuffer()]);
   }
   told.textContent = `${file.name} …`;
   await ask({ kind: "end", key });
  };
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
   button.disabled = true;
   try {
    for (const file of input.files) await send(file);
    told.textContent = "";
   } catch (error) {
    told.textContent = `Upload failed: ${error.message}`;
   }
   input.value = "";
   button.disabled = false;
  });
  el.style.cssText = "display: flex; align-items: center";
  el.append(button, input, told);
 }
};
"""

Keep = Callable[[str, IO[bytes]], None]


class FileUpload(anywidget.AnyWidget):
    """Takes files.

    Args:
        keep: Called with the name that the browser gave and the file, at its beginning; what it raises is shown.
        multiple: Whether several may be chosen at once.
        hint: What the button is for.
    """

    _esm = _ESM

    multiple = traitlets.Bool(False).tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)

    def __init__(self, keep: Keep, *, multiple: bool = False, hint: str = "") -> None:
        self._keep = keep
        self._coming: dict[str, tuple[str, IO[bytes]]] = {}
        super().__init__(multiple=multiple, hint=hint)
        self.on_msg(self._take)

    def _take(self, _widget: object, content: Any, buffers: list[Any]) -> None:
        error = None
        try:
            self._handle(content, buffers)
        except Exception as raised:  # noqa: BLE001  the outer edge of a message: it is shown beside the button
            error = f"{raised}" or type(raised).__name__
            name_and_file = self._coming.pop(content.get("key", ""), None)
            if name_and_file is not None:
                name_and_file[1].close()
        self.send({"id": content.get("id"), "error": error})

    def _handle(self, content: Any, buffers: list[Any]) -> None:
        match content:
            case {"kind": "begin", "key": str(key), "name": str(name)}:
                self._coming[key] = name, tempfile.TemporaryFile(prefix="jupyter-ext-upload-")  # noqa: SIM115
            case {"kind": "piece", "key": str(key)}:
                self._coming[key][1].write(buffers[0])
            case {"kind": "end", "key": str(key)}:
                name, file = self._coming.pop(key)
                with file:
                    file.seek(0)
                    self._keep(name, file)
            case _:
                raise ValueError(
                    "this page and this kernel have different versions of jupyter-ext; reload the page"
                )
