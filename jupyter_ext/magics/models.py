"""`%models` and `%model`: local models, from the hub to memory and back."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, needs_local_scope, no_var_expand

from jupyter_ext.magics.arguments import HelpShown, MagicParser

_TEXT = """\
Show one local model, or do something with it.

  %model org/name                      look it up: how big it is, what it takes in memory
  %model org/name download             fetch it in the background; the cell returns at once
  %model org/name load --dtype bfloat16 --keep-alive 1h
  %model name run "a sentence"         call it: text in, text or embedding out
  %model name run -p x                 … or with values of this notebook
  %model name unload                   end its process and say how much memory that gave back
  %model name delete --files           delete the files and keep it in the list

A model is named by org/name[@revision] on a hub, a path, an address, training:<id>, or the name of one in the list.
Which hub, who asks and where files go: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE of this notebook."""

VERBS = ("show", "download", "cancel", "load", "unload", "update", "run", "delete")
_LOADING = ("device", "dtype", "keep_alive", "pin", "force")


def _model_parser() -> MagicParser:
    parser = MagicParser("%model", _TEXT)
    parser.add_argument("id", help="which: an id, a path, or a name in the list")
    parser.add_argument("verb", nargs="?", default="show", choices=VERBS, help="default: show")
    parser.add_argument("text", nargs="*", default=[], help="with run: texts to call it with")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="[NAME=]EXPR", help="with run: a value"
    )
    parser.add_argument("--wait", action="store_true", help="keep the cell busy until it is done")
    parser.add_argument("--device", help="with load: cpu, cuda:0 …")
    parser.add_argument("--dtype", help="with load: float32, bfloat16 …; default: as in the files")
    parser.add_argument(
        "--keep-alive", metavar="TIME", help="with load: unload after so long without a call: 10m, 2h"
    )
    parser.add_argument("--pin", action="store_true", help="with load: never unload it to make room")
    parser.add_argument(
        "--force", action="store_true", help="with load: although it seems too big; with delete: unload first"
    )
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="NAME",
        help="with download: also this file, no safetensors",
    )
    parser.add_argument(
        "--check", action="store_true", help="with update: only look whether there is a newer one"
    )
    parser.add_argument("--files", action="store_true", help="with delete: only the files")
    return parser


def _models_parser() -> MagicParser:
    parser = MagicParser(
        "%models", "List local models, the latest used first: live where JupyterLab has our extension."
    )
    parser.add_argument(
        "--on",
        metavar="SERVICE",
        help="those of a running service: pieces, which is looked for on this machine, or a base URL of one like it",
    )
    parser.add_argument("--unload", action="store_true", help="unload every model that nobody has pinned")
    parser.add_argument(
        "--limit", metavar="RATE", help="all downloads together at most so fast from now on: 20MB, 500kB, off"
    )
    parser.add_argument(
        "--partials", action="store_true", help="list the files that downloads which were cut have left"
    )
    return parser


@magics_class
class ModelMagics(Magics):
    """Magics for local models."""

    @line_magic
    def models(self, line: str) -> Any:
        """List local models; `%models --help` shows how."""
        try:
            arguments = _models_parser().parse(line)
        except HelpShown:
            return None
        from jupyter_ext.client.models.handle import models

        if arguments.unload:
            models.unload()
        if arguments.limit is not None:
            models.download_limit = arguments.limit
        if arguments.partials:
            return models.partials()
        return models.list(arguments.on)

    @line_magic
    @no_var_expand
    @needs_local_scope
    def model(self, line: str, local_ns: Mapping[str, object] | None = None) -> Any:
        """Show one model or do something with it; `%model --help` shows what."""
        parser = _model_parser()
        assert self.shell is not None
        try:
            arguments = parser.parse(line, {**self.shell.user_ns, **(local_ns or {})})
        except HelpShown:
            return None
        _check(parser, arguments)
        from jupyter_ext.client.models.handle import models
        from jupyter_ext.magics import model_display

        found = models.find(arguments.id)
        if found is None:
            found = models.add(arguments.id, look=arguments.verb == "show")
        match arguments.verb:
            case "download":
                found.download(weights=arguments.weights)
            case "cancel":
                found.cancel()
            case "update":
                found.update(check_only=arguments.check)
            case "load":
                options = {name: getattr(arguments, name) for name in _LOADING}
                found.load(**options, wait=False)
            case "unload":
                was_loaded = found.state in ("loaded", "loading")
                return model_display.Freed(found, found.unload(), was_loaded=was_loaded)
            case "delete":
                return model_display.delete(found, only_files=arguments.files, force=arguments.force)
            case "run":
                return self._run(found, arguments)
        if arguments.wait:
            model_display.show_and_wait(found, arguments.verb)
            return None
        return found

    def _run(self, found: Any, arguments: argparse.Namespace) -> Any:
        """Call a model with texts of the line or values of the notebook."""
        assert self.shell is not None
        positional: list[Any] = []
        named: dict[str, object] = {}
        for text in arguments.parameter:
            name, equals, expression = text.partition("=")
            is_named = bool(equals) and name.isidentifier() and not expression.startswith("=")
            value = self.shell.ev(expression if is_named else text)
            if is_named:
                named[name] = value
            else:
                positional.append(value)
        texts = arguments.text
        if texts:
            positional.insert(0, texts[0] if len(texts) == 1 else texts)
        return found(*positional, **named)


def _check(parser: MagicParser, arguments: argparse.Namespace) -> None:
    """Refuse options that the verb does not take, before anything happens."""
    verb = arguments.verb
    takes = {
        "text": ("run",),
        "parameter": ("run",),
        "device": ("load",),
        "dtype": ("load",),
        "keep_alive": ("load",),
        "pin": ("load",),
        "force": ("load", "delete"),
        "weights": ("download",),
        "check": ("update",),
        "files": ("delete",),
        "wait": ("download", "load", "update"),
    }
    for name, verbs in takes.items():
        if getattr(arguments, name) and verb not in verbs:
            given = " ".join(arguments.text) if name == "text" else f"--{name.replace('_', '-')}"
            parser.error(f"{given!r} does not go with {verb}")
    if verb == "run" and not arguments.text and not arguments.parameter:
        parser.error('run needs something to call the model with, such as "a sentence" or -p x')
