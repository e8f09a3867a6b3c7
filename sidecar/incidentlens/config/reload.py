"""Files are read again when they change; a bad file leaves the last good configuration in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, awatch

from .loader import ConfigError, Loaded, load_config

log = logging.getLogger(__name__)


class Reloader:
    """Watches the files of a configuration. `refused` holds why the newest state of the files is not in force."""

    def __init__(self, loaded: Loaded) -> None:
        self.current = loaded
        self.refused: str | None = None
        self.reloads = 0
        self._broken: frozenset[Path] = frozenset()  # files of a refused state: who mends one expects it to be read

    async def changes(self, stop: asyncio.Event) -> AsyncIterator[Loaded]:
        """Each new good configuration, until `stop` is set."""
        while not stop.is_set():
            watched = self._watched()
            options = {"stop_event": stop, "watch_filter": self._concerns, "debounce": 200, "step": 50}
            # Not recursive: beside the file may lie whole trees that have nothing to do with it.
            async for _ in awatch(*watched, recursive=False, **options):  # type: ignore[arg-type]
                if self.try_reload():
                    yield self.current
                if self._watched() != watched:
                    break  # the new configuration names other files
            else:
                return

    def try_reload(self) -> bool:
        """Read the files again. False, with `refused` set and logged, where they are not good."""
        try:
            loaded = load_config(self.current.path)
        except ConfigError as error:
            self.refused = str(error)
            self._broken = frozenset(Path(problem.file).absolute() for problem in error.problems)
            log.error("the changed configuration is refused, the last good one stays in force: %s", error)
            return False
        self.current, self.refused, self._broken = loaded, None, frozenset()
        self.reloads += 1
        log.info("configuration reloaded from %s", loaded.path)
        return True

    def _watched(self) -> tuple[Path, ...]:
        # Folders, not files: editors replace a file, and a watch on the old one would see nothing more.
        folders: set[Path] = set()
        for path in self.current.files | self._broken:
            if path.is_dir():
                folders.update([path, *(inner for inner in path.rglob("*") if inner.is_dir())])
            folders.add(path.parent)
        return tuple(sorted(folder for folder in folders if folder.is_dir()))

    def _concerns(self, _change: Change, path: str) -> bool:
        changed = Path(path)
        if changed in self.current.files or changed in self._broken:
            return True
        if changed.suffix in (".yaml", ".yml", ".j2", ".md", ".markdown"):
            return True
        # A folder of mounted settings is changed by turning this link; a new folder may hold runbooks.
        if changed.name == "..data":
            return True
        return not changed.suffix and any(folder in self.current.files for folder in changed.parents)
