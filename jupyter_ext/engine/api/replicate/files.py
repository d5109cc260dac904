"""Files: upload, description, list, delete, and their bytes under a capability link.

Source: Replicate's HTTP API reference, "files". Clients send `metadata` as a form field with JSON text, as a part of type
application/json, or as fields `metadata[key]`; all three are read.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import after, answer, as_whole_number, base_url, cursor_of, page
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.paging import Place
from jupyter_ext.engine.files.uploads import FileStore, StoredFile
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks
from jupyter_ext.ids import new_training_id
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input

MAX_FILE_BYTES = 2 * 2**30
_MAX_NAME_BYTES = 255


class FilesAPI:
    """Routes of files."""

    def __init__(self, files: FileStore, links: SignedLinks) -> None:
        self._files = files
        self._links = links

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/v1/files", self.create, methods=["POST"]),
            Route("/v1/files", self.list, methods=["GET"]),
            Route("/v1/files/{id}", self.get, methods=["GET"]),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{id}/download", self.download, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Keep an uploaded file: 201."""
        length = as_whole_number(request.headers.get("content-length", "0"))
        if length is None or length > MAX_FILE_BYTES:
            raise Problem(413, "File too large", "Files must be less than 2 GiB in size")
        try:
            async with request.form(max_files=4) as form:
                return await self._keep(request, form)
        except HTTPException as error:
            raise Problem(400, "Invalid form", f"The body is not a multipart form: {error.detail}") from error

    async def _keep(self, request: Request, form: FormData) -> Response:
        content = form.get("content")
        if not isinstance(content, UploadFile):
            says = "content is required: a part with the file's bytes and a filename"
            raise invalid_input([InvalidField("required", "content", says)])
        named = form.get("filename")
        name = (named if isinstance(named, str) and named else content.filename) or "file"
        if len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
            raise invalid_input([InvalidField("string_lte", "filename", "filename may have 255 bytes")])
        kind = form.get("type")
        content_type = (
            kind if isinstance(kind, str) and kind else content.content_type
        ) or "application/octet-stream"
        metadata = await _metadata(form)
        stored = await asyncio.to_thread(
            self._files.add, new_training_id(), content.file, name, content_type, metadata
        )
        return answer(self._show(request, stored), 201)

    @documented(query=("cursor",))
    async def list(self, request: Request) -> Response:
        """Return a page of files, newest first."""
        found = after(self._files.newest_first(), _place, cursor_of(request))
        return answer(page(request, found, _place, lambda file: self._show(request, file)))

    async def get(self, request: Request) -> Response:
        """Describe a file."""
        return answer(self._show(request, self._file(request)))

    async def delete(self, request: Request) -> Response:
        """Delete a file: 204."""
        await asyncio.to_thread(self._files.delete, self._file(request).id)
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        """Return a file's bytes. On the loopback port, `TokenRequired` has checked the link or the token."""
        stored = self._file(request)
        return FileResponse(
            self._files.content(stored.id),
            media_type=stored.content_type,
            filename=stored.name,
            headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"},
        )

    def _file(self, request: Request) -> StoredFile:
        stored = self._files.get(request.path_params["id"])
        if stored is None:
            raise Problem(404, "Not found", "File not found")
        return stored

    def _show(self, request: Request, stored: StoredFile) -> dict[str, Any]:
        base = base_url(request)
        return {
            "id": stored.id,
            "name": stored.name,
            "content_type": stored.content_type,
            "size": stored.size,
            "etag": stored.md5,
            "checksums": {"sha256": stored.sha256, "md5": stored.md5},
            "metadata": dict(stored.metadata),
            "created_at": rfc3339(stored.created_at),
            "expires_at": None,
            "urls": {"get": f"{base}/v1/files/{stored.id}", "download": base + self._links.file(stored.id)},
        }


async def _metadata(form: FormData) -> dict[str, Any]:
    """Read metadata in the three forms that the clients send."""
    given = form.get("metadata")
    if given is None:
        found = {
            key[9:-1]: value
            for key, value in form.items()
            if key.startswith("metadata[") and key.endswith("]")
        }
        return {key: value for key, value in found.items() if isinstance(value, str)}
    text = (await given.read()).decode(errors="replace") if isinstance(given, UploadFile) else given
    try:
        metadata = json.loads(text or "{}")
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise invalid_input(
            [InvalidField("type", "metadata", f"metadata={text[:60]!r} is not a JSON object")]
        )
    return metadata


def _place(file: StoredFile) -> Place:
    return rfc3339(file.created_at), file.id
