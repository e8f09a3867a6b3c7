"""The write-ahead log: what was pushed and is not yet in a sealed chunk.

Files `wal/00000001.log` and on, each a run of frames: length and CRC-32 (little-endian, four bytes each), then the
frame's bytes. A push is acknowledged when its frame has been handed to the kernel, so a killed process loses nothing;
`sync` puts it on the disk itself, for a power cut. A tail that was cut while being written is dropped and counted.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

_HEADER = Struct("<II")
MAX_FRAME = 1 << 30


class WriteAheadLog:
    """Appends frames to the newest file. Not for use by two threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = max(self._numbers(), default=0)
        self._file = -1
        self._dirty = False
        self.torn_bytes = 0
        """Bytes that were cut off damaged tails since this object was made."""

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.log") if path.stem.isdigit())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.log"

    def replay(self, first: int) -> Iterator[bytes]:
        """The frames of all files from number `first` on; earlier files are removed, a torn tail is cut."""
        for number in self._numbers():
            if number < first:
                self._path(number).unlink()
                continue
            path = self._path(number)
            good = 0
            with path.open("rb") as file:
                while True:
                    header = file.read(_HEADER.size)
                    if len(header) < _HEADER.size:
                        break
                    length, checksum = _HEADER.unpack(header)
                    frame = file.read(length) if length <= MAX_FRAME else b""
                    if len(frame) < length or zlib.crc32(frame) != checksum:
                        break
                    good = file.tell()
                    yield frame
            torn = path.stat().st_size - good
            if torn:
                self.torn_bytes += torn
                os.truncate(path, good)

    def append(self, frame: bytes) -> None:
        """Write one frame. When the disk refuses it nothing of it stays, and OSError is raised."""
        if self._file < 0:
            self._open()
        before = os.lseek(self._file, 0, os.SEEK_END)
        data = _HEADER.pack(len(frame), zlib.crc32(frame)) + frame
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self._dirty = True

    def _open(self) -> None:
        self._number = max(self._number, 1)
        self._file = os.open(self._path(self._number), os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def rotate(self) -> int:
        """Begin a new file and give its number: frames before it are in files with smaller numbers."""
        self.close()
        self._number += 1
        self._open()
        return self._number

    def remove_before(self, number: int) -> None:
        """Remove the files with smaller numbers."""
        for old in self._numbers():
            if old < number:
                self._path(old).unlink()

    def sync(self) -> None:
        """Put what was written on the disk."""
        if self._dirty and self._file >= 0:
            self._dirty = False
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close; a later append opens the file again."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1
