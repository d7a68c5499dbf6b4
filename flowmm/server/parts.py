"""What a server is made of, put together in order and taken apart in the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from ..face.find import shipped
from .desk import Desk
from .hub import Hub
from .journal import Journal
from .library import Library
from .metrics import Metrics
from .results import Results
from .saved import SavedGraphs
from .settings import Settings
from .uploads import Uploads

log = logging.getLogger("flowmm.server")


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    saved: SavedGraphs
    uploads: Uploads
    journal: Journal
    results: Results
    library: Library
    hub: Hub
    metrics: Metrics
    desk: Desk

    @staticmethod
    async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run what may wait for the disk without holding up the others."""
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))

    def close(self) -> None:
        self.desk.stop()
        self.journal.close()


def open_parts(settings: Settings) -> Parts:
    """Open the server's folder and make all parts; nothing works yet. Raises JournalError, OSError."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(settings.folder / "journal.sqlite", on_problem=log.warning)
    results = Results(settings.folder / "results")
    saved = SavedGraphs(settings.home / "graphs", shipped())
    limits = settings.limits
    uploads = Uploads(settings.folder / "uploads", limits.upload, most_bytes=limits.uploads, in_use=lambda id: journal.mentions(id) or saved.mentions(id))
    library, hub, metrics = Library(settings, saved, uploads, results), Hub(), Metrics()
    desk = Desk(settings, journal, results, library, hub, metrics)
    metrics.watch(desk)
    return Parts(settings, saved, uploads, journal, results, library, hub, metrics, desk)
