"""What a model consists of, asked before a byte of its weights is fetched. Waits for the network: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jupyter_ext.engine.models.download import size_estimate
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources import file_selection, hub, local, url
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import InvalidInput


def resolve(
    ref: ModelRef, repo_dir: Path, settings: HubSettings, http: HttpSettings, weights: Sequence[str]
) -> Manifest:
    """Ask what there is to fetch.

    Args:
        ref: The model.
        repo_dir: Where it goes.
        settings: Whose hub and token.
        http: How hard servers are asked.
        weights: Names or patterns of weights that are no safetensors and are fetched all the same.

    Raises:
        InvalidInput: The model has nothing that may be fetched, or nothing that torch could load.
        UnknownId: There is no such model or revision.
        DownloadFailed: Nobody can be asked, or the answer makes no sense.
    """
    if ref.source == "file":
        return local.describe(ref, Path(ref.name), settings, weights)
    if ref.source == "url":
        revision, file = url.look_up(ref, settings, http, weights)
        manifest = Manifest(ref, revision, repo_dir, (file,), settings, refs=(hub.MAIN,))
    else:
        revision, listed = hub.list_files(ref, settings)
        files, skipped = file_selection.select(listed, weights, str(ref))
        refs = () if ref.is_pinned else (ref.revision or hub.MAIN,)
        manifest = Manifest(ref, revision, repo_dir, files, settings, refs, skipped)
    config, summary = size_estimate.look_ahead(manifest, http)
    return _checked(replace(manifest, config=config, weights=summary), weights)


def current_revision(ref: ModelRef, settings: HubSettings, http: HttpSettings) -> str:
    """Ask which revision a model has now; for a pinned commit the main branch is asked.

    Raises:
        UnknownId: The model is no longer there.
        DownloadFailed: Nobody can be asked.
    """
    if ref.source == "hub":
        return hub.commit_of(ref, settings, hub.MAIN if ref.is_pinned else None)
    return url.look_up(ref, settings, http, [url.file_name(ref)])[0]


def _checked(manifest: Manifest, weights: Sequence[str]) -> Manifest:
    """Say before the download what cannot be loaded after it: refused, or noted where the user named the file.

    Raises:
        InvalidInput: Tensors are of a dtype that torch does not have, and no file with such was named.
    """
    notes = [
        f"{name} is fetched because it was named; torch does not load its format."
        for name in file_selection.not_loadable([file.name for file in manifest.files], weights)
    ]
    dtype = manifest.weights.unloadable if manifest.weights else None
    if dtype is not None:
        names = [file.name for file in manifest.files if file_selection.is_weights(file.name)]
        if not all(file_selection.is_named(name, weights) for name in names):
            raise InvalidInput(
                f"{manifest.ref} has tensors of {dtype}, for which torch has no dtype, so it could not be loaded; "
                f"to fetch it nevertheless, name it: weights=[{names[0]!r}]."
            )
        notes.append(f"It has tensors of {dtype}, for which torch has no dtype, so it cannot be loaded.")
    return replace(manifest, notes=tuple(notes))
