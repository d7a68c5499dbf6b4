"""Models of the Hugging Face hub that are here: `hf:org/repo` and `hf:org/repo@revision` as folders. Never touches the network.

    $FLOWMM_HOME/models/hub/org--repo/COMMIT/…       the files, plain ones, as in the repository
    $FLOWMM_HOME/models/hub/org--repo/COMMIT.json    what they are; written last, so that half a download is no snapshot
    $FLOWMM_HOME/models/hub/org--repo/COMMIT.part/   a download under way or cut off; `flowmm models pull` goes on from there

A snapshot in the user's ordinary Hugging Face cache is used too, where it lies.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..home import home
from .weights import SourceError

REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*\Z", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
MAIN = "main"  # the revision when none is named


@dataclass(frozen=True)
class Repo:
    """id: org/repo. revision: a branch, tag or commit; "" where none was named."""

    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"hf:{self.id}" + (f"@{self.revision}" if self.revision else "")

    @property
    def folder(self) -> Path:
        """Where its snapshots lie."""
        return models() / "hub" / self.id.replace("/", "--")


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository, here. revisions: the branches and tags it was pulled as. ours: in flowmm's own folder."""

    repo: str
    commit: str
    folder: Path
    revisions: tuple[str, ...] = ()
    licence: str = ""
    ours: bool = True
    files: dict[str, dict] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        return self.folder.with_name(f"{self.commit}.json")


def models() -> Path:
    """The folder of everything that was pulled or converted."""
    return home() / "models"


def parse(name: str) -> Repo:
    """`org/repo`, `hf:org/repo` or `hf:org/repo@revision`, read. Raises SourceError."""
    repo, _, revision = name.removeprefix("hf:").partition("@")
    if not REPO.match(repo) or ".." in repo or "--" in repo or len(repo) > 96 or repo.endswith((".git", ".", "-")):
        shown = name if len(name) <= 120 else name[:117] + "…"
        raise SourceError(f"`{shown}` names no model of the hub; write hf:ORG/REPO or hf:ORG/REPO@REVISION, as in hf:openai/clip-vit-base-patch32")
    if "@" in name and not re.match(r"[\w][\w./-]*\Z", revision, re.ASCII) or ".." in revision:
        raise SourceError(f"`hf:{repo}`: after the @ comes a branch, a tag or a commit; this is none")
    return Repo(repo, revision)


def resolve(name: str) -> Path:
    """The folder of `hf:org/repo` or `hf:org/repo@revision`, or the one checkpoint in it.

    Raises SourceError that says what to type when it is not here.
    """
    return given(find(name).folder)


def given(folder: Path) -> Path:
    """What to open of a folder: itself, or its single .safetensors file where it has no config."""
    files = sorted(folder.glob("*.safetensors"))
    has_config = any((folder / name).is_file() for name in ("model_index.json", "config.json"))
    return files[0] if len(files) == 1 and not has_config else folder


def find(name: str) -> Snapshot:
    """The snapshot of `hf:org/repo@revision`; without a revision main's, or the only one. Raises SourceError."""
    repo = parse(name)
    for there in (ours(repo), cached(repo)):
        chosen = _choose(repo, there)
        if chosen is not None:
            return chosen
    pull = f"`flowmm models pull {str(repo).removeprefix('hf:')}`"
    if parts(repo):
        raise SourceError(f"`{repo}` is here in part only; {pull} goes on with it")
    known = [one for there in (ours(repo), cached(repo)) for one in there]
    if known:
        raise SourceError(f"`{repo}` is not here, though {', '.join(f'hf:{one.repo}@{one.commit[:12]}' for one in known[:3])} is; {pull} downloads it")
    raise SourceError(f"`{repo}` is not here, and running a graph downloads nothing; {pull} does")


def _choose(repo: Repo, there: list[Snapshot]) -> Snapshot | None:
    wanted = repo.revision or MAIN
    named = [one for one in there if wanted in one.revisions]
    if not named and re.match(r"[0-9a-f]{7,40}\Z", wanted):
        named = [one for one in there if one.commit.startswith(wanted)]
    if not named and not repo.revision and len(there) > 1:
        every = ", ".join(f"@{one.commit[:12]}" for one in there)
        raise SourceError(f"`{repo}` is here in {len(there)} versions ({every}): say which, as in {repo}@{there[0].commit[:12]}")
    if not named and not repo.revision:
        named = there
    return named[0] if named else None


def ours(repo: Repo) -> list[Snapshot]:
    """The snapshots that flowmm pulled, newest first."""
    found = []
    for manifest in repo.folder.glob("*.json"):
        try:
            card = json.loads(manifest.read_text(encoding="utf-8"))
            snapshot = Snapshot(repo.id, card["commit"], manifest.with_suffix(""), tuple(card["revisions"]), card["licence"], files=card["files"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if snapshot.commit == manifest.stem and snapshot.folder.is_dir():
            found.append((manifest.stat().st_mtime, snapshot))
    return [snapshot for _, snapshot in sorted(found, key=lambda pair: -pair[0])]


def cached(repo: Repo) -> list[Snapshot]:
    """The snapshots in the user's Hugging Face cache."""
    folder = cache() / f"models--{repo.id.replace('/', '--')}"
    named: dict[str, list[str]] = {}
    for ref in (folder / "refs").rglob("*"):
        if ref.is_file():
            named.setdefault(ref.read_text(encoding="utf-8", errors="replace").strip(), []).append(ref.relative_to(folder / "refs").as_posix())
    there = [one for one in (folder / "snapshots").glob("*") if COMMIT.match(one.name) and one.is_dir()]
    return [Snapshot(repo.id, one.name, one, tuple(named.get(one.name, ())), ours=False) for one in sorted(there)]


def cache() -> Path:
    """The user's Hugging Face cache, as the libraries find it."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or Path(os.environ.get("HF_HOME") or base) / "hub"
    return Path(os.path.expandvars(given)).expanduser()


def parts(repo: Repo) -> list[Path]:
    """Downloads that were cut off."""
    return sorted(one for one in repo.folder.glob("*.part") if one.is_dir())


def repos() -> list[Repo]:
    """Every repository of which something was pulled."""
    there = sorted(one.name.replace("--", "/", 1) for one in (models() / "hub").glob("*") if one.is_dir())
    return [Repo(name) for name in there if REPO.match(name)]
