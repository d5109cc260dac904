"""`%engine`: the background process that owns every training."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class

from jupyter_ext.magics.arguments import HelpShown, MagicParser

_TEXT = """\
The engine is one small process per user and machine. It outlives kernels and browser tabs, and ends by itself when
nothing runs, nobody looks and no port is open.

  status    what runs, in which environments, and how much memory it takes (default)
  start     start it where there is none
  stop      end it; refused while trainings run, unless --force (they go on either way)
  restart   end it and start another, which takes over the trainings that run
  listen    open a loopback port with a token, for other programs; with --pieces one in the range of Pieces OS, where
            its official clients look and can bring no token: every program and user of this machine can then list,
            fetch, load, unload and delete models here (and nothing else) until the engine ends
  log       the last lines of its own log
  doctor    look at everything that could be wrong"""


@magics_class
class EngineMagics(Magics):
    """The magic for the engine."""

    @line_magic
    def engine(self, line: str) -> Any:
        """Look at or control the engine; `%engine --help` shows how."""
        parser = MagicParser("%engine", _TEXT)
        verbs = ("status", "start", "stop", "restart", "listen", "log", "doctor")
        parser.add_argument("verb", nargs="?", default="status", choices=verbs, metavar="VERB")
        parser.add_argument("--port", type=int, default=0, help="with listen: the port (default: a free one)")
        parser.add_argument(
            "--pieces", action="store_true", help="with listen: as Pieces OS, without a token; read above"
        )
        parser.add_argument("--force", action="store_true", help="with stop: also while trainings run")
        parser.add_argument(
            "-n", type=int, default=20, metavar="N", help="with log: so many lines (default: 20)"
        )
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return None
        return _do(arguments)


def _do(arguments: argparse.Namespace) -> Any:
    from jupyter_ext.client.engine import control
    from jupyter_ext.client.trainings.api import engine
    from jupyter_ext.magics.display import EngineStatus

    match arguments.verb:
        case "status":
            info = control.status()
            if info is None:
                print("No engine runs. `%engine start` starts one; so does the next training.")
                return None
            return EngineStatus(info)
        case "start":
            return EngineStatus(engine.status())
        case "stop":
            print(control.stop(force=arguments.force))
        case "restart":
            return EngineStatus(control.restart())
        case "listen":
            if arguments.pieces:
                url = engine.listen_as_pieces()
                print(
                    f"Listening on {url} as Pieces OS does, without a token: every program and user of this machine can "
                    "list, fetch, load, unload and delete models here. It ends with the engine."
                )
                return None
            opened = engine.listen(arguments.port)
            print(
                f"Listening on {opened.url}; the bearer token is in {opened.token_file}, which only you can read."
            )
        case "log":
            print(control.log_tail(arguments.n))
        case "doctor":
            print("\n".join(control.doctor()))
    return None
