"""What a Hugging Face-shaped hub says of a model. Everything here waits for the network: call it in a thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import SecretStr

from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources.file_selection import check_names
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import ManifestFile
from jupyter_ext.errors import DownloadFailed, UnknownId
from jupyter_ext.weights.safetensors import LIMIT

TIMEOUT_S = 20.0
MAIN = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


def commit_of(ref: ModelRef, settings: HubSettings, revision: str | None = None) -> str:
    """Ask which commit a revision is now.

    Args:
        ref: A model of a hub.
        settings: Which hub, and who asks.
        revision: Another revision than the reference's.

    Raises:
        UnknownId: There is no such model or revision, or it is not for this token.
        DownloadFailed: The hub cannot be asked, or its answer makes no sense.
    """
    info = _info(ref, settings, revision or ref.revision or MAIN, files=False)
    return _commit(info, settings)


def list_files(ref: ModelRef, settings: HubSettings) -> tuple[str, list[ManifestFile]]:
    """Ask for a model's commit and all its files.

    Raises:
        UnknownId: There is no such model or revision, or it is not for this token.
        DownloadFailed: The hub cannot be asked, or its answer makes no sense.
        InvalidInput: It lists a file by a name that would leave the model.
    """
    info = _info(ref, settings, ref.revision or MAIN, files=True)
    commit = _commit(info, settings)
    siblings = info.siblings or []
    check_names([str(sibling.rfilename) for sibling in siblings])
    return commit, [_file(sibling, ref, commit, settings) for sibling in siblings]


def _commit(info: Any, settings: HubSettings) -> str:
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise DownloadFailed(f"{settings.endpoint} gave {info.sha!r} as a commit; is HF_ENDPOINT right?")
    return info.sha


def _file(sibling: Any, ref: ModelRef, commit: str, settings: HubSettings) -> ManifestFile:
    from huggingface_hub import hf_hub_url

    lfs = sibling.lfs
    size = lfs.size if lfs is not None else sibling.size
    sha256 = lfs.sha256 if lfs is not None else None
    blob = sha256 or sibling.blob_id
    named = isinstance(blob, str) and (_SHA256.fullmatch(blob) or _COMMIT.fullmatch(blob))
    if not isinstance(size, int) or not 0 <= size < LIMIT or not named:
        raise DownloadFailed(
            f"{settings.endpoint} does not say size and hash of {ascii(sibling.rfilename)[:200]} in {ref.name}; nothing was fetched."
        )
    return ManifestFile(
        name=sibling.rfilename,
        bytes=size,
        url=hf_hub_url(ref.name, sibling.rfilename, revision=commit, endpoint=settings.endpoint),
        blob=blob,
        sha256=sha256,
        git_sha1=None if sha256 else blob,
    )


def _info(ref: ModelRef, settings: HubSettings, revision: str, *, files: bool) -> Any:
    from huggingface_hub import HfApi

    def ask() -> Any:
        # `False` and not `None`: otherwise the engine's own token would be looked up.
        api = HfApi(settings.endpoint, token=secret(settings.token) or False)
        return api.model_info(ref.name, revision=revision, files_metadata=files, timeout=TIMEOUT_S)

    return _asked(ask, ref, settings, revision)


def secret(token: SecretStr | None) -> str | None:
    """Return what a header needs."""
    return token.get_secret_value() if token is not None else None


def _asked(ask: Callable[[], T], ref: ModelRef, settings: HubSettings, revision: str) -> T:
    """Translate everything that huggingface_hub raises. Its texts are not passed on: they may hold a request."""
    from huggingface_hub import constants, errors

    if settings.offline:
        raise DownloadFailed(
            f"{ref} cannot be looked up: HF_HUB_OFFLINE is set. Unset it, or use a model that is in {settings.cache_dir}."
        )
    # Whether we are offline is the asking notebook's to say, not the environment that the engine was started in.
    constants.HF_HUB_OFFLINE = False
    where = settings.endpoint
    try:
        return ask()
    except errors.GatedRepoError:
        raise UnknownId(
            f"{ref.name} is gated: accept its terms at {where}/{ref.name}, then set HF_TOKEN to your token."
        ) from None
    except errors.DisabledRepoError:
        raise UnknownId(f"{where} has disabled {ref.name}; take another model.") from None
    except errors.RepositoryNotFoundError:
        hint = "set HF_TOKEN if it is private" if settings.token is None else "your token may not open it"
        raise UnknownId(f"{where} has no model {ref.name!r}; check its name, or {hint}.") from None
    except errors.RevisionNotFoundError:
        raise UnknownId(f"{ref.name} has no revision {revision!r}; leave it out for {MAIN!r}.") from None
    except errors.HfHubHTTPError as error:
        raise DownloadFailed(_status_text(where, ref, error.response.status_code)) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = type(error).__name__
        raise DownloadFailed(
            f"{where} could not be asked about {ref.name} ({reason}); is HF_ENDPOINT right?"
        ) from None
    except Exception as error:
        # huggingface_hub changed its HTTP library between versions; its errors share no importable base.
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise
        raise DownloadFailed(
            f"{where} cannot be reached ({type(error).__name__}); check the network and HF_ENDPOINT, then try again."
        ) from None


def _status_text(where: str, ref: ModelRef, status: int) -> str:
    if status in (401, 403):
        return f"{where} refused the token for {ref.name} ({status}); set HF_TOKEN to a valid one."
    if status == 429:
        return f"{where} asks for a pause (429); try {ref.name} again in a minute."
    return f"{where} answered {status} when asked about {ref.name}; try again later."
