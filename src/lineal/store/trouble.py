"""What is wrong with a database at this moment, and whether it still is.

A write that fails for want of room, or of the right to write, says so to whoever asked for it. It
is also remembered here, so that readiness can say it; and tried again when somebody asks, so that
nobody has to restart anything once there is room again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lineal.errors import Damaged, ReadOnly, StorageFull, StoreError

#: How much room there must be again before writing is said to go on, in bytes.
ROOM = 1 << 20
#: How many seconds lie between two looks at a damaged file, each of which reads all of it.
LOOK_AGAIN = 60.0


class Trouble:
    """The last trouble of one database, until it is over."""

    def __init__(self, probe: Callable[[], None], check: Callable[[], None]) -> None:
        self._probe, self._check = probe, check
        self._lock = threading.Lock()
        self._found: StoreError | None = None
        self._looked = 0.0

    @contextlib.contextmanager
    def noticed(self, *, writes: bool) -> Iterator[None]:
        """Remember what goes wrong in the block; a write that goes well ends what was wrong."""
        try:
            yield
        except (StorageFull, ReadOnly, Damaged) as error:
            self._found, self._looked = error, time.monotonic()
            raise
        if writes and not isinstance(self._found, Damaged):
            self._found = None

    def raise_if_any(self) -> None:
        """Raise what is wrong, if it still is; this tries to write, or reads a damaged file."""
        with self._lock:
            found = self._found
            if found is None:
                return
            if isinstance(found, Damaged):
                if time.monotonic() - self._looked < LOOK_AGAIN:
                    raise found
                self._looked = time.monotonic()
                self._check()
            else:
                self._probe()
            self._found = None


def probe_file(path: Path) -> None:
    """
    See whether there is room beside a file, by taking some for a moment.

    Raises:
        StorageFull, ReadOnly: there is none, or it may not be written.
    """
    probe = path.with_name(f"{path.name}.probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"No room left at {path}.", fix="Free some room; nothing written so far is lost."
            ) from error
        raise ReadOnly(
            f"{path} may not be written: {error.strerror}.",
            fix="Make the file, its folder and its disk writable.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
