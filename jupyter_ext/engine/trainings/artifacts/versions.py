"""Code versions: bundles from notebooks, kept unpacked under the sha256 of their bytes.

manifest.json       format, kind (cell | function | script | cog), name, entry, label, source, signature, imports,
                    labels, sources, captured
code.py             the text of a cell
signature.py        the text that the inputs are read from, for a function
names.pkl           names of the notebook
origin.json         where it was made last: interpreter, directory, import path; no part of the version's id
trained.json        of a version that a training made: its model, its training, its weights, and where it ran
function.pkl        the function
inputs.pkl          inputs that JSON cannot say, by name, beside the JSON that stands for them
sources/<n>.py      texts of other cells, for tracebacks
blobs.json          which of these files are kept once by their hash, as they are large
folder/…            the files of a Cog project
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.archives import check_size, reading_archive
from jupyter_ext.engine.trainings.artifacts.large_files import collect, has_large, link_large
from jupyter_ext.engine.trainings.delivery.signed_links import OWNER
from jupyter_ext.ids import VersionId, is_version_id
from jupyter_ext.ipc import json_values
from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.signature import find_function, find_method, from_source

MAX_BUNDLE_BYTES = 2 * 2**30
PREDICT_ENTRIES = ("predict", "run")
"""Names of the function or method that predicts, in the order in which they are looked for; Cog's."""
_PREDICTOR_CLASSES = frozenset({"Predictor", "Runner", "BasePredictor", "BaseRunner"})
"""A class of a cell that predicts has one of these names, or a base that has."""
_MEMBERS = re.compile(
    r"manifest\.json|code\.py|signature\.py|blobs\.json|names\.pkl|inputs\.pkl|function\.pkl|sources/\d{1,4}\.py"
)
_FOLDER_MEMBER = re.compile(r"folder(/(?!\.\.?(/|$))[^/\\\0]+)+")
"""Files of a project: no part of the path is empty, `.` or `..`."""


class CapturedName(TypedDict):
    """A notebook name that travels by value."""

    name: str
    type: str
    bytes: int


class Manifest(TypedDict):
    """What of a bundle's manifest.json is relied upon."""

    kind: Literal["cell", "function", "script", "cog"]
    name: str
    entry: str
    source: NotRequired[str | None]
    signature: NotRequired[str | None]
    captured: NotRequired[list[CapturedName]]
    notices: NotRequired[list[str]]


@dataclass(frozen=True)
class MadeIn:
    """Where a version was made: interpreter, working directory, and the entries of its import path."""

    python: str
    cwd: str
    sys_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """What a training added to its code: the model it is a version of, and weights (the id of a file)."""

    model: str
    training: str
    weights: str | None
    python: str
    cwd: str


@dataclass(frozen=True)
class Predictor:
    """The function or class of a version's code that predicts."""

    entry: str
    method: str
    """Of a class; of a function its own name."""
    input: TrainingInput
    returns_path: bool
    takes_weights: bool
    source: str | None = None
    """The file in the bundle that it is in, where that is not the trainer's."""

    def manifest(self) -> dict[str, Any]:
        """Return what a prediction's manifest says in place of the training's."""
        said = {"entry": self.entry, "method": self.method, "streams": True}
        return said if self.source is None else said | {"source": self.source}


@dataclass(frozen=True)
class Version:
    """One code version."""

    id: VersionId
    directory: Path
    manifest: dict[str, Any]
    training_input: TrainingInput | None
    """Its inputs, or `None` for a script without options, which takes any as variables."""
    trained: Trained | None = None
    predictor: Predictor | None = None
    made_in: MadeIn | None = None
    """`None` for one that a client other than a notebook uploaded."""

    @property
    def prediction_input(self) -> TrainingInput | None:
        """What a client gives for a prediction, without weights of the version's own; `None` where it cannot predict."""
        if self.predictor is None or not self.gives_weights:
            return self.predictor.input if self.predictor else None
        found = self.predictor.input
        kept = tuple(parameter for parameter in found.parameters if parameter.name != "weights")
        return TrainingInput(kept, found.takes_any)

    @property
    def gives_weights(self) -> bool:
        """Whether the engine gives its function the weights."""
        has_weights = self.trained is not None and self.trained.weights is not None
        return has_weights and self.predictor is not None and self.predictor.takes_weights

    @property
    def model(self) -> str:
        """Owner and name of the model that this is a version of."""
        return self.trained.model if self.trained else f"{OWNER}/{model_name(self.manifest['name'])}"


def model_name(text: str) -> str:
    """Make a name that is safe in URLs out of what the user called it."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "training"


class Versions:
    """All code versions on disk.

    Args:
        directory: One directory per version.
        large_dir: Where large parts of bundles are kept; by default beside it.
    """

    def __init__(self, directory: Path, large_dir: Path | None = None) -> None:
        self._directory = directory
        self._large_dir = large_dir or directory.with_name("blobs")
        self._known: dict[VersionId, Version] = {}

    def add(self, bundle: bytes, made_in: MadeIn | None = None) -> Version:
        """Keep a bundle; the same bytes are the same version, made where it was made last.

        Raises:
            Problem: The bytes are no bundle, or its code is not Python.
        """
        version_id = VersionId(hashlib.sha256(bundle).hexdigest())

        def fill(directory: Path) -> None:
            _unpack(bundle, directory)
            link_large(
                directory, self._large_dir, lambda name: _MEMBERS.fullmatch(name) is not None, _bad_bundle
            )
            _read(version_id, directory)

        version = self._keep(version_id, fill)
        if made_in is not None and made_in != version.made_in:
            records.replace(version.directory / "origin.json", asdict(made_in))
            version = self._known[version_id] = replace(version, made_in=made_in)
        return version

    def add_trained(self, base: Version, trained: Trained) -> Version:
        """Make the version that a training leaves: its code, and what it added. Asked again, it is the same one."""
        record = asdict(trained)
        version_id = VersionId(
            hashlib.sha256(json.dumps([base.id, record], sort_keys=True).encode()).hexdigest()
        )

        def fill(directory: Path) -> None:
            copy_code(base, directory)
            write_json(directory / "trained.json", record)

        return self._keep(version_id, fill)

    def _keep(self, version_id: VersionId, fill: Callable[[Path], None]) -> Version:
        """Have `fill` write a version that is not there yet into a directory, which appears whole or not at all."""
        known = self.find(version_id)
        if known is not None:
            return known
        temporary = self._directory / f".{version_id}.{os.getpid()}"
        try:
            fill(temporary)
            os.replace(temporary, self._directory / version_id)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        version = self.find(version_id)
        assert version is not None
        return version

    def all_ids(self) -> list[str]:
        """List the ids of all versions on disk."""
        return [path.name for path in self._directory.iterdir() if is_version_id(path.name)]

    def delete(self, version_id: VersionId) -> None:
        """Remove a version; runs have their own copy of its code."""
        self._known.pop(version_id, None)
        shutil.rmtree(self._directory / version_id, ignore_errors=True)
        self.collect()

    def is_large(self, version_id: str) -> bool:
        """Whether a version has parts that are kept once by their hash."""
        return is_version_id(version_id) and has_large(self._directory / version_id)

    def collect(self) -> None:
        """Remove the large parts that no version and no run has any more."""
        collect(self._large_dir)

    def find(self, version_id: str) -> Version | None:
        """Find a version by its id."""
        if not is_version_id(version_id):
            return None
        key = VersionId(version_id)
        if key not in self._known:
            directory = self._directory / key
            if not (directory / "manifest.json").exists():
                return None
            try:
                self._known[key] = _read(key, directory)
            except (Problem, OSError) as error:
                records.set_aside(directory, error.detail if isinstance(error, Problem) else str(error))
                return None
        return self._known[key]


def copy_code(version: Version, target: Path) -> None:
    """Make a run its own copy of the code: links where the disk allows, so that large names cost nothing."""
    for source in version.directory.rglob("*"):
        if source.is_file():
            copy = target / source.relative_to(version.directory)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, copy)
            except OSError:
                shutil.copyfile(source, copy)


def _read(version_id: VersionId, directory: Path) -> Version:
    manifest = read_json(directory / "manifest.json")
    try:
        records.parse(Manifest, manifest)
    except ValueError as error:
        raise _bad_bundle(f"its manifest.json is missing or not understood ({records.why(error)})") from error
    if (wrong := json_values.fault({key: manifest[key] for key in ("name", "entry")})) is not None:
        raise invalid_input([InvalidField("invalid", wrong[0], f"{wrong[0]}: {wrong[1]}")])
    text = directory / (manifest.get("signature") or manifest.get("source") or "")
    if not text.is_file():
        raise _bad_bundle("the file that its manifest names as source is missing")
    try:
        found = from_source(text.read_text(encoding="utf-8"), manifest["entry"])
        predictor = _predictor(manifest, directory)
    except (UnicodeDecodeError, RecursionError, MemoryError, OSError) as error:
        raise _bad_bundle(f"{text.name} cannot be read as Python ({records.why(error)})") from error
    except ValueError as error:  # a null byte
        raise Problem(422, "Invalid code", f"The code is not Python: {error}") from error
    except SyntaxError as error:
        raise Problem(
            422, "Invalid code", f"The code is not Python: {error.msg} (line {error.lineno})"
        ) from error
    if manifest["kind"] == "cog" and found is None:
        raise _bad_bundle(f"{text.name} defines no {manifest['entry']!r}")
    return Version(
        version_id,
        directory,
        manifest,
        found if manifest["kind"] != "script" or manifest.get("options") is not None else None,
        records.read_record(directory / "trained.json", Trained),
        predictor,
        records.read_record(directory / "origin.json", MadeIn),
    )


def _predictor(manifest: dict[str, Any], directory: Path) -> Predictor | None:
    """Find what predicts: in a cell by its name, in a Cog project as its `cog.yaml` says."""
    if manifest["kind"] == "cell":
        text = (directory / (manifest.get("source") or "")).read_text(encoding="utf-8")
        tree = ast.parse(text)
        names = [*PREDICT_ENTRIES, *_predictor_classes(tree)]
        return next((found for name in names if (found := _predictor_in(text, name))), None)
    if manifest["kind"] != "cog" or not isinstance(manifest.get("predict"), dict):
        return None
    source, entry = manifest["predict"].get("source"), manifest["predict"].get("entry")
    if not isinstance(source, str) or not isinstance(entry, str) or not _FOLDER_MEMBER.fullmatch(source):
        raise _bad_bundle("what its manifest says of predictions is not understood")
    try:
        found = _predictor_in((directory / source).read_text(encoding="utf-8"), entry)
    except (OSError, ValueError, SyntaxError):
        return None  # a project whose predictor is broken still trains
    return None if found is None else replace(found, source=source)


def _predictor_classes(tree: ast.Module) -> list[str]:
    """List the classes that say by their name, or that of a base, that they predict; the last one first."""
    return [
        node.name
        for node in reversed(tree.body)
        if isinstance(node, ast.ClassDef)
        and _PREDICTOR_CLASSES & {node.name, *(ast.unparse(base).rpartition(".")[2] for base in node.bases)}
    ]


def _predictor_in(text: str, entry: str) -> Predictor | None:
    """Read a function or class that predicts; `weights` is not an input where the engine gives it."""
    tree = ast.parse(text)
    if (function := find_function(tree, entry)) is not None:
        return _predictor_of(text, entry, entry, function)
    for method in PREDICT_ENTRIES:
        if (function := find_method(tree, entry, method)) is not None:
            setup = find_method(tree, entry, "setup")
            return _predictor_of(text, entry, method, function, setup)
    return None


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _predictor_of(
    text: str, entry: str, method: str, function: _Function, setup: _Function | None = None
) -> Predictor | None:
    found = from_source(text, entry, method)
    if found is None:
        return None
    returns = "" if function.returns is None else ast.unparse(function.returns)
    takes_weights = any(parameter.name == "weights" for parameter in found.parameters) or (
        setup is not None and any(argument.arg == "weights" for argument in setup.args.args)
    )
    return Predictor(entry, method, found, "Path" in returns, takes_weights)


def _unpack(bundle: bytes, target: Path) -> None:
    with reading_archive(_bad_bundle), zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        check_size(archive, MAX_BUNDLE_BYTES, _bad_bundle)
        for member in archive.infolist():
            name = member.filename
            if not _MEMBERS.fullmatch(name) and not _FOLDER_MEMBER.fullmatch(name):
                raise _bad_bundle(f"{name!r} does not belong into it")
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, open(path, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            if member.external_attr >> 16 & 0o100:
                path.chmod(0o755)


def _bad_bundle(reason: str) -> Problem:
    return Problem(
        422, "Invalid bundle", f"The code bundle cannot be used: {reason}. Send what `jx.train` sends."
    )
