"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What callers may ask for at most.

    body, upload: bytes of a request. nodes: of a graph. queued: runs that wait. cells: of a sweep. uploads: bytes of all uploaded pictures.
    pixels: of all pictures that are given to one run, which are in memory at once.
    hang: seconds without a sign from any node after which a run is given up. grace: seconds the node of a cancelled run has to stop
    before its worker process is ended. sockets: open at once.
    """

    body: int = 32 << 20
    upload: int = 32 << 20
    nodes: int = 20_000
    queued: int = 10_000
    cells: int = 1_000
    uploads: int = 4 << 30
    pixels: int = 2**29
    hang: float = 1800.0
    grace: float = 30.0
    sockets: int = 500


@dataclass(frozen=True, slots=True)
class Settings:
    """home: holds graphs, models, cache and the server's own folder. devices: one worker process each. roots: folders that graphs may
    name files and models in, besides their own. hosts: names the server is reached by, besides those of this machine. token: "" for
    none, which only a loopback address may have."""

    home: Path
    token: str
    host: str = "127.0.0.1"
    port: int = 8383
    devices: tuple[str, ...] = ("cpu",)
    dtype: str = "float32"
    threads: int = 0
    roots: tuple[Path, ...] = ()
    hosts: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)

    @property
    def folder(self) -> Path:
        """Of the server's own files."""
        return self.home / "server"
