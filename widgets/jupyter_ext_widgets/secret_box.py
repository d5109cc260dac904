"""A box for a secret. ipywidgets' own keeps its text in the widget's state, which front ends may write into the notebook.

Rule: the secret is no synchronised trait. It comes as a message and stays in this process's memory.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

_ESM = """\
export default {
 render({ model, el }) {
  el.classList.add("jupyter-widgets", "widget-inline-hbox", "widget-text", "jx-secret");
  const label = document.createElement("label"), input = document.createElement("input");
  label.className = "widget-label";
  label.style.width = "150px";
  label.textContent = label.title = model.get("description");
  input.type = "password";
  input.autocomplete = "new-password";
  input.style.cssText = "flex: 1 1 auto; min-width: 0";
  input.title = model.get("hint");
  input.setAttribute("aria-label", model.get("description"));
  const tell = () => { input.placeholder = model.get("is_given") ? "given" : model.get("placeholder"); };
  input.addEventListener("keydown", event => event.stopPropagation());
  input.addEventListener("input", () => model.send({ kind: "secret", text: input.value }));
  model.on("change:is_given", tell);
  tell();
  el.append(label, input);
  return () => model.off("change:is_given", tell);
 }
};
"""


class SecretBox(anywidget.AnyWidget):
    """Takes a secret.

    Args:
        description: Its name, before the box.
        placeholder: In the box while it is empty.
        hint: More about it.

    Attributes:
        value: The secret; known to this process only.
        is_given: Whether there is one.
    """

    _esm = _ESM

    description = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    is_given = traitlets.Bool(False).tag(sync=True)
    value = traitlets.Unicode()

    def __init__(self, description: str, placeholder: str = "", hint: str = "") -> None:
        layout = {"width": "360px"}
        super().__init__(description=description, placeholder=placeholder, hint=hint, layout=layout)
        self.observe(lambda change: self.set_trait("is_given", change["new"] != ""), "value")
        self.on_msg(self._take)

    def __repr__(self) -> str:
        """Return its name only."""
        return f"SecretBox({self.description!r})"

    def _take(self, _widget: object, content: Any, _buffers: object) -> None:
        if isinstance(content, dict) and content.get("kind") == "secret":
            self.value = str(content.get("text", ""))
