"""The options that a script reads from its command line, told from its text without running it.

They become a signature in source text, so that form, checks and columns treat them as any other inputs, and for each
input the way to write it on the command line. What cannot be told is left out: `is_complete` says whether there may be more.

Source: the documentation of argparse, click, typer, tyro, and HfArgumentParser of transformers.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from jupyter_ext.protocol.schema.annotations import last_name
from jupyter_ext.protocol.schema.option_calls import read_argparse, read_click, reads_no_command_line
from jupyter_ext.protocol.schema.option_parameters import read_hf_arguments, read_typer, read_tyro
from jupyter_ext.protocol.schema.option_source import imports
from jupyter_ext.protocol.schema.options import ScriptOptions
from jupyter_ext.protocol.schema.signature import with_constants

_PARSING = ("parse_args", "parse_known_args", "parse_args_into_dataclasses")
_READERS = (read_argparse, read_hf_arguments, read_tyro, read_typer, read_click)


def read_options(tree: ast.Module) -> ScriptOptions | None:
    """Read a script's options, or return `None` where it reads none that we understand."""
    tree = with_constants(tree)
    for read in _READERS:
        if (found := read(tree)) is not None:
            unique = {option.name: option for option in found.options if option.name.isidentifier()}
            return replace(found, options=tuple(unique.values()))
    return ScriptOptions((), is_complete=False) if _reads_command_line(tree) else None


def line_without_command_line(tree: ast.Module) -> int | None:
    """Return the line of a call such as `parser.parse_args([])`, the form for notebooks, which looks at no command line."""
    found = (
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and last_name(node.func) in _PARSING and reads_no_command_line(node)
    )
    return min(found, default=None)


def _reads_command_line(tree: ast.Module) -> bool:
    """Whether a text looks at its command line in a way that says nothing of what it takes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv":
            return True
        if (
            isinstance(node, ast.Call)
            and last_name(node.func) in _PARSING
            and not reads_no_command_line(node)
        ):
            return True
    return any(imports(tree, module) for module in ("fire", "absl", "jsonargparse", "simple_parsing"))
