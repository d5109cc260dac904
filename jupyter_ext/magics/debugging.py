"""`%%debug_session`, `%debug_session`, `%debug_call`, `%%in_session`, `%debug_sessions`."""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class, no_var_expand

from jupyter_ext.magics.arguments import HelpShown, MagicParser, parse_inputs
from jupyter_ext.magics.line import split_expressions
from jupyter_ext.protocol.counts import counted

if TYPE_CHECKING:
    from jupyter_ext.client.sessions.interfaces import ModelHandle, SessionHandle

_SESSION_TEXT = """\
A debug session is a process of its own with a model in it, which is called piece by piece and stays in memory.

  %%debug_session net              the cell is the model's code: a class, an executor in `model`, or functions.
                                   Run it again, changed: the code is replaced, living models keep their weights.
  %debug_session net               how it stands
  %debug_session net frames        the frames of the last exception; `frames N` walks to one, `up` and `down` by one
  %debug_session net logs|stacks|attach|interrupt|terminate

Names of the notebook that the cell uses travel with it by value. %debug_call calls it, %%in_session runs cells in it."""

_CALL_TEXT = """\
Call something in a debug session and return what it returns.

  %debug_call net.instantiate -p n=8               makes a model; so do create_state and get_state their states
  %debug_call net.train -p x=x_train -p epochs=3   returns at once and shows the curve
  %debug_call net.evaluate -p x=x[:10]             waits for the result
  %debug_call net.METHOD -p name=expression …      any method of the model, or function of the session's code

Each -p is an expression of this notebook. Of several models, --model says which (default: the newest)."""

_CELL_TEXT = """\
Run the cell inside a debug session's process: in the frame where the last call failed, or else in the session's own
namespace. While a training or another call is busy there, it runs beside it and sees everything live.

  --top       in the session's namespace, also after a failure
  --wait      in the main thread, after what is busy there"""

_VERBS = ("show", "logs", "frames", "up", "down", "stacks", "attach", "interrupt", "terminate")


def _session_parser(magic: str) -> MagicParser:
    parser = MagicParser(magic, _SESSION_TEXT)
    parser.add_argument("name", nargs="?", default="session", help="what it is called (default: session)")
    if magic == "%%debug_session":
        parser.add_argument(
            "--entry", default="", metavar="NAME", help="what models are made from: a class, or an executor"
        )
        parser.add_argument(
            "--inactive",
            type=float,
            default=1800.0,
            metavar="S",
            help="it ends after so many seconds without a call; 0: never",
        )
        parser.add_argument(
            "--new", action="store_true", help="launch another one, also where one of this name runs"
        )
        parser.add_argument(
            "--as", dest="variable", metavar="VAR", help="also put the handle into this variable"
        )
    else:
        parser.add_argument(
            "verb", nargs="?", default="show", choices=_VERBS, metavar="VERB", help=", ".join(_VERBS)
        )
        parser.add_argument("number", nargs="?", type=int, help="with frames: go to this one")
        parser.add_argument(
            "--tail", type=int, default=None, metavar="N", help="with logs: only the last N lines"
        )
        parser.add_argument(
            "--port", action="store_true", help="with attach: open a port of 127.0.0.1 as well"
        )
        parser.add_argument(
            "--force", action="store_true", help="with attach --port: also where others use this machine"
        )
    return parser


@magics_class
class DebuggingMagics(Magics):
    """Magics for debug sessions."""

    @line_cell_magic
    def debug_session(self, line: str, cell: str | None = None) -> Any:
        """Launch a debug session, replace its code, or look at it; `%%debug_session --help` shows how."""
        parser = _session_parser("%debug_session" if cell is None else "%%debug_session")
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return None
        return self._look(arguments) if cell is None else self._launch(parser, arguments, cell)

    @line_magic
    def debug_sessions(self, line: str) -> Any:
        """List debug sessions; `%debug_sessions --help` shows how."""
        parser = MagicParser("%debug_sessions", "List debug sessions, newest first.")
        parser.add_argument("--ended", action="store_true", help="also those that have ended")
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return None
        from jupyter_ext.client.debugging import debug_sessions

        return debug_sessions.list(ended=arguments.ended)

    @line_magic
    @no_var_expand
    def debug_call(self, line: str) -> Any:
        """Call something in a debug session; `%debug_call --help` shows how."""
        parser = MagicParser("%debug_call", _CALL_TEXT, split=split_expressions)
        parser.add_argument("target", metavar="SESSION.METHOD", help="which session, and what to call there")
        parser.add_argument(
            "-p", "--param", action="append", default=[], metavar="NAME=EXPR", help="an argument"
        )
        parser.add_argument("--model", metavar="ID", help="which of its models")
        parser.add_argument(
            "--anomaly", action="store_true", help="stop at the operation that makes a NaN; slow"
        )
        parser.add_argument(
            "--as", dest="variable", metavar="VAR", help="also put the result into this variable"
        )
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return None
        name, dot, method = arguments.target.rpartition(".")
        if not dot or not name or not method:
            parser.error(f"{arguments.target!r} is not of the form SESSION.METHOD, such as net.evaluate")
        params = self._evaluated(parser, parse_inputs(arguments.param, "%debug_call", "-p"))
        from jupyter_ext.client.debugging import debug_sessions

        result = _call(debug_sessions.get(name), method, params, arguments)
        if arguments.variable is not None:
            assert self.shell is not None
            self.shell.user_ns[arguments.variable] = result
        return result

    @cell_magic
    def in_session(self, line: str, cell: str) -> None:
        """Run the cell inside a debug session; `%%in_session --help` shows how."""
        parser = MagicParser("%%in_session", _CELL_TEXT)
        parser.add_argument("name", help="which session")
        parser.add_argument("--top", action="store_true", help="in the session's namespace")
        parser.add_argument("--wait", action="store_true", help="in the main thread")
        try:
            arguments = parser.parse(line)
        except HelpShown:
            return
        from jupyter_ext.client.debugging import debug_sessions
        from jupyter_ext.client.sessions.session import Session
        from jupyter_ext.errors import InvalidInput
        from jupyter_ext.magics.session_cells import run_cell

        session = debug_sessions.get(arguments.name)
        if not isinstance(session, Session):
            raise InvalidInput(f"%%in_session: {session.name} runs on a service, which runs no cells.")
        run_cell(session, cell, top=arguments.top, wait=arguments.wait)

    def _launch(self, parser: MagicParser, arguments: argparse.Namespace, cell: str) -> Any:
        from jupyter_ext.client import debugging
        from jupyter_ext.client.capture.capture import capture_model
        from jupyter_ext.client.sessions.model import check_name
        from jupyter_ext.client.sessions.session import Session
        from jupyter_ext.errors import UnknownId

        assert self.shell is not None
        name = check_name(arguments.name)
        if arguments.variable is not None and not arguments.variable.isidentifier():
            parser.error(f"--as {arguments.variable!r} is not a name that a variable can have")
        bundle = capture_model(cell, self.shell.user_ns, name, entry=arguments.entry)
        if bundle.unknown_names:
            print(f"Not defined here, nor in the notebook: {', '.join(bundle.unknown_names)}")
        running = None
        if not arguments.new:
            try:
                running = debugging.debug_sessions.get(name)
            except UnknownId:
                running = None
        if isinstance(running, Session) and running.resource.exit is None:
            session, change = running, running.replace_code(bundle)
            kept = f"; {_followers(change['instances'])}" if change["instances"] else ""
            print(f"Replaced the code of {name}: {', '.join(change['classes']) or 'no class'}{kept}.")
            for notice in change["notices"]:
                print(notice)
        else:
            session = debugging.launch(name, bundle, arguments.inactive or None)
        if arguments.variable is not None:
            self.shell.user_ns[arguments.variable] = session
        return session

    def _look(self, arguments: argparse.Namespace) -> Any:
        from jupyter_ext.client.debugging import debug_sessions
        from jupyter_ext.client.sessions import report
        from jupyter_ext.client.sessions.session import Session
        from jupyter_ext.magics.session_display import attach_text

        session = debug_sessions.get(arguments.name)
        match arguments.verb:
            case "show":
                return session
            case "logs":
                print(session.logs(arguments.tail), end="")
                if errors := session.logs(arguments.tail, "stderr"):
                    print(f"--- stderr ---\n{errors}", end="")
            case "frames" | "up" | "down":
                print(report.frames_text(session.frames(self._frame(session, arguments))))
            case "stacks":
                print(session.stacks())
            case "attach":
                endpoint = session.attach(port=arguments.port, force=arguments.force)
                assert isinstance(session, Session)  # others refuse
                print(attach_text(session, endpoint))
            case "interrupt":
                op = session.interrupt()
                print("Nothing runs there." if op is None else f"Interrupted {op}; the session lives on.")
            case "terminate":
                print(session.terminate().ended or "It is still ending.")
        return None

    def _frame(self, session: SessionHandle, arguments: argparse.Namespace) -> int | None:
        """Return the number of the frame to go to, or `None` to stay."""
        if arguments.verb == "frames":
            number: int | None = arguments.number
            return number
        now = session.frames()
        wanted = now["selected"] + (1 if arguments.verb == "down" else -1)
        return int(max(0, min(len(now["frames"]) - 1, wanted)))

    def _evaluated(self, parser: MagicParser, texts: dict[str, str]) -> dict[str, Any]:
        """Evaluate the expressions of `-p` in the notebook."""
        from jupyter_ext.errors import InvalidInput

        assert self.shell is not None
        values = {}
        for name, text in texts.items():
            try:
                tree = ast.parse(text.strip(), mode="eval")
            except SyntaxError:
                parser.error(f"-p {name}={text} is no expression")
            try:
                values[name] = eval(
                    compile(tree, f"<-p {name}>", "eval", dont_inherit=True),
                    self.shell.user_global_ns,
                    self.shell.user_ns,
                )
            except Exception as error:  # noqa: BLE001  the user's expression may raise anything
                raise InvalidInput(
                    f"%debug_call: -p {name}={text}: {type(error).__name__}: {error}."
                ) from None
        return values


def _followers(number: int) -> str:
    """Say how many living instances have the new code."""
    return f"{counted(number, 'living instance')} follow{'s' if number == 1 else ''}"


def _call(session: SessionHandle, method: str, params: dict[str, Any], arguments: argparse.Namespace) -> Any:
    """Call a method of a session, or of a model in it."""
    from jupyter_ext.errors import SessionError

    if method == "create_state":
        return session.create_state(**params)
    if method == "instantiate":
        return session.instantiate(**params)
    model = _chosen_model(session, arguments.model)
    is_method = model is not None and method in model.methods
    if method in session.functions and not is_method:
        return session.call(method, anomaly=arguments.anomaly, **params)
    if model is None:
        raise SessionError(f"Session {session.name} has no model yet: %debug_call {session.name}.instantiate")
    return _call_model(model, method, params, anomaly=arguments.anomaly)


def _chosen_model(session: SessionHandle, model_id: str | None) -> ModelHandle | None:
    """Return the model of this id, by default the newest, or `None` where there is none yet.

    Raises:
        UnknownId: None has this id, or several begin so.
    """
    from jupyter_ext.errors import UnknownId

    models = session.models
    if not model_id:
        return models[-1] if models else None
    chosen = [one for one in models if one.id == model_id] or [
        one for one in models if one.id.startswith(model_id)
    ]
    if len(chosen) != 1:
        known = ", ".join(one.id for one in models) or "none"
        several = f"several models {model_id!r}" if chosen else f"no model {model_id!r}"
        raise UnknownId(f"Session {session.name} has {several}; it has {known}.")
    return chosen[0]


def _call_model(model: ModelHandle, method: str, params: dict[str, Any], *, anomaly: bool) -> Any:
    match method:
        case "train":
            return model.train(anomaly=anomaly, **params)
        case "evaluate":
            return model.evaluate(anomaly=anomaly, **params)
        case "get_state":
            return model.get_state()
        case "parameters":
            return model.parameters(**params)
        case "step" if "step" not in model.methods:
            return model.step(anomaly=anomaly, **params)
    return model.call(method, anomaly=anomaly, **params)
