"""A log file in, incidents out: the same pipeline on an in-memory clock. Nothing is kept, nothing is sent."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from incidentlens.api.auth import Editor, Serving
from incidentlens.api.errors import ApiError
from incidentlens.config.loader import Project
from incidentlens.model.terms import Mode

router = APIRouter(prefix="/api/replay", tags=["replay"])

MAX_UNPACKED = 500 * 1024 * 1024
_CHUNK = 1024 * 1024
_FILE = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _FILE, "baseline": _FILE},
                }
            },
            "application/octet-stream": {"schema": _FILE},
        },
    }
}


@router.post("", openapi_extra=_BODY, summary="Replay a log file", response_model=dict[str, Any])
async def replay(
    request: Request,
    services: Serving,
    principal: Editor,
    service_label: Annotated[str, Query(max_length=100, description="The label that names the service.")] = "service",
) -> Response:
    """The file (at most 50 MB; `.jsonl`, plain text, either with gzip) as the body or as `file` of a form, with
    `baseline` for a healthy time to learn from. Answers what `incidentlens replay --json` prints. One at a time."""
    if services.replaying.locked():
        raise ApiError(429, "another replay is under way; send it again when that is done", {"Retry-After": "10"})
    async with services.replaying:
        with tempfile.TemporaryDirectory(prefix="incidentlens-replay-") as folder:
            async with _received(request, Path(folder)) as (records, baseline):
                return JSONResponse(await _in_thread(records, baseline, principal.project, service_label))


@asynccontextmanager
async def _received(request: Request, folder: Path) -> AsyncIterator[tuple[Path, Path | None]]:
    """The uploaded files on disk: (records, baseline or None). ApiError 400."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        path = folder / "records"
        size = 0
        with path.open("wb") as out:
            async for chunk in request.stream():
                size += len(chunk)
                await asyncio.to_thread(out.write, chunk)
        if size == 0:
            raise ApiError(400, "the body is empty; send a log file")
        yield _named(path, "records"), None
        return
    try:
        form = await request.form(max_files=2, max_fields=10)
    except HTTPException as error:
        raise ApiError(400, f"the form cannot be read: {error.detail}") from None
    async with contextlib.aclosing(_Form(form)) as files:
        records = await files.saved("file", folder)
        if records is None:
            raise ApiError(400, "the form has no `file`; name the part that holds the log `file`")
        yield records, await files.saved("baseline", folder)


class _Form:
    """The files of a form."""

    def __init__(self, form: Any) -> None:
        self._form = form

    async def saved(self, name: str, folder: Path) -> Path | None:
        upload = self._form.get(name)
        if not isinstance(upload, UploadFile):
            return None
        path = folder / name
        with path.open("wb") as out:
            while chunk := await upload.read(_CHUNK):
                await asyncio.to_thread(out.write, chunk)
        return _named(path, name)

    async def aclose(self) -> None:
        await self._form.close()


def _named(path: Path, name: str) -> Path:
    """The file under a name whose ending says what is in it: that is how a file is read. Told by its first bytes."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    text = path
    if packed:
        text = path.with_name(f"{name}.unpacked")
        _unpack(path, text)
    with text.open("rb") as file:
        head = file.read(4096).lstrip()
    records = head.startswith(b"{") and b'"ts"' in head and b'"line"' in head
    return text.rename(text.with_name(f"{name}{'.jsonl' if records else '.log'}"))


def _unpack(source: Path, target: Path) -> None:
    """ApiError 400 for a broken file, 413 for one that grows too large: a small file may unpack to terabytes."""
    import gzip
    import zlib

    size = 0
    try:
        with gzip.open(source, "rb") as packed, target.open("wb") as out:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > MAX_UNPACKED:
                    raise ApiError(413, "the file is larger than 500 MB unpacked; use `incidentlens replay` for it")
                out.write(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise ApiError(400, f"the file begins like gzip and cannot be unpacked: {error}") from None


async def _in_thread(records: Path, baseline: Path | None, project: Project, service_label: str) -> dict[str, Any]:
    """Replay in a thread of its own, with an event loop of its own: the server goes on answering."""
    return await asyncio.to_thread(lambda: asyncio.run(_replay(records, baseline, project, service_label)))


async def _replay(records: Path, baseline: Path | None, project: Project, service_label: str) -> dict[str, Any]:
    from incidentlens.intake.files import FileError, read_records
    from incidentlens.pipeline.replay import default_project, replay_frames

    like = default_project(
        project.runbooks,
        policy=project.policy.model_copy(update={"mode": Mode.SHADOW, "new_service_grace_minutes": 0}),
        rules=project.rules,
        service_label=service_label,
    )

    def frames(path: Path | None) -> Iterator[Any]:
        if path is not None:
            yield from read_records(path, service_label=service_label)

    try:
        replayed = await replay_frames(frames(records), frames(baseline), project=like)
    except FileError as error:
        raise ApiError(400, str(error)) from None
    return replayed.result
