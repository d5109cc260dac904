"""Arguments of magics: argparse that answers in one line and never ends the kernel."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import Any, NoReturn

from jupyter_ext.errors import InvalidInput


class HelpShown(Exception):
    """`--help` was asked for and has been printed."""


class MagicParser(argparse.ArgumentParser):
    """A parser for the line of one magic."""

    def __init__(
        self, magic: str, description: str, *, split: Callable[[str], list[str]] = shlex.split, **options: Any
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
        raise InvalidInput(f"{self.prog}: {message}. `{self.prog} --help` shows what it takes.")

    def parse(self, line: str) -> argparse.Namespace:
        """Parse a magic's line.

        Raises:
            InvalidInput: It is not what the magic takes.
            HelpShown: It asked for help.
        """
        try:
            words = self._split(line)
        except ValueError as error:
            self.error(f"{str(error).lower()} in {line!r}")
        if "--help" in words or "-h" in words:
            print(self.format_help())
            raise HelpShown
        try:
            return self.parse_args(words)
        except argparse.ArgumentError as error:
            self.error(str(error))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words; unlike argparse's own, a failed conversion never exits."""
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            self.error(str(error))


def split_expressions(line: str) -> list[str]:
    """Split a line at its spaces, but for those within quotes or brackets: `-p x=f("a b", y[0, 1])` is two words.

    Raises:
        ValueError: A quote or a bracket is not closed.
    """
    words, word, quote, depth = [], "", "", 0
    for letter in line:
        if not quote and not depth and letter.isspace():
            words += [word] if word else []
            word = ""
            continue
        word += letter
        if quote:
            quote = "" if letter == quote and not word.endswith("\\" + letter) else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
    if quote or depth > 0:
        raise ValueError("No closing quotation" if quote else "No closing bracket")
    words += [word] if word else []
    return [one[1:-1] if len(one) > 1 and one[0] == one[-1] and one[0] in "'\"" else one for one in words]


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
