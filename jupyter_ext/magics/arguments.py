"""Arguments of magics: argparse that answers in one line and never ends the kernel."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jupyter_ext.errors import InvalidInput
from jupyter_ext.magics.line import split_words

_UNKNOWN_INPUT = re.compile(
    r"^unrecognized arguments: (?:--([A-Za-z][\w-]+)(?:[= ]([^\s-]\S*))?|([A-Za-z]\w*)=(\S+)|(=))"
)
"""`--epochs 3`, `epochs=3`, and what is left of `-i epochs = 3`."""


class HelpShown(Exception):
    """`--help` was asked for and has been printed."""


class MagicParser(argparse.ArgumentParser):
    """A parser for the line of one magic.

    Args:
        magic: The magic, as it is written.
        description: What `--help` says first.
        split: Splits a line into words in place of the shell's rules; nothing of the notebook is replaced then.
        **options: Of argparse's parser.
    """

    def __init__(
        self,
        magic: str,
        description: str,
        *,
        split: Callable[[str], list[str]] | None = None,
        **options: Any,
    ) -> None:
        self._split = split
        super().__init__(
            prog=magic,
            description=description,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        self.add_argument("-h", "--help", action="store_true", help="show this text")

    def error(self, message: str) -> NoReturn:
        """Refuse the line."""
        hint = ""
        if (found := _UNKNOWN_INPUT.search(message)) and "-i" in self._option_string_actions:
            name, value = (found[1] or found[3] or "name").replace("-", "_"), found[2] or found[4] or "value"
            hint = f"; an input is given as -i {name}={value}"
        raise InvalidInput(f"{self.prog}: {message}. `{self.prog} --help` shows what it takes{hint}.")

    def parse(self, line: str, namespace: Mapping[str, object] | None = None) -> argparse.Namespace:
        """Parse a magic's line.

        Args:
            line: What follows the magic's name.
            namespace: The notebook's names, for `{expression}` and `$name`; `None` where IPython has replaced them.

        Raises:
            InvalidInput: It is not what the magic takes.
            HelpShown: It asked for help.

        Returns:
            The arguments; `rest` has the words after `--`.
        """
        try:
            words = split_words(line, namespace) if self._split is None else self._split(line)
        except ValueError as error:
            if isinstance(error, InvalidInput):  # an expression of the user's has raised
                raise InvalidInput(f"{self.prog}: {error}") from None
            self.error(f"{str(error).lower()} in {line!r}")
        rest: list[str] = []
        if "--" in words:
            words, rest = words[: words.index("--")], words[words.index("--") + 1 :]
        if "--help" in words or "-h" in words:
            print(self.format_help())
            raise HelpShown
        try:
            return self.parse_args(words, argparse.Namespace(rest=rest))
        except argparse.ArgumentError as error:
            self.error(str(error))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words; unlike argparse's own, a failed conversion never exits."""
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            self.error(str(error))


def parse_inputs(pairs: list[str], magic: str, option: str = "-i") -> dict[str, str]:
    """Split `name=text` pairs of an option.

    Raises:
        InvalidInput: One is not of that form, or a name comes twice.
    """
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidInput(
                f"{magic}: {option} {pair!r} is not of the form name=value, such as {option} lr=1e-3."
            )
        if name in texts:
            raise InvalidInput(f"{magic}: {option} {name} is given twice, as {texts[name]!r} and {text!r}.")
        texts[name] = text
    return texts
