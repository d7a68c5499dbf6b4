"""Downloading models from the Hugging Face hub. Only `flowmm models pull` comes here; running a graph never does.

`plan` asks the hub what there is and what it weighs; `fetch` downloads it, resuming what was cut off, and checks every file's
digest before the snapshot appears. Plain HTTP through huggingface_hub: its own downloader no longer resumes, and Xet keeps a cache
of its own. The token is huggingface_hub's (HF_TOKEN, or a login); nothing here stores it.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..files import write_whole
from . import selection, snapshots
from .snapshots import COMMIT, MAIN, Repo
from .weights import SourceError

SPARE = 64 << 20  # bytes of disk that a download must leave free
CHUNK = 1 << 20  # bytes written at once: what a cut connection can lose, and how smoothly a bar moves
Report = Callable[[str, int], None]  # (file, bytes of it that came now)


@dataclass(frozen=True)
class Remote:
    """A file of a repository. digest: sha256 of a large file, git's own of a small one, "" if the hub says none."""

    name: str
    size: int
    digest: str = ""


@dataclass(frozen=True)
class Plan:
    """What a pull would do. files: all that are wanted; missing: those not here yet. here: bytes of `missing` that a cut download left."""

    repo: Repo
    commit: str
    licence: str
    files: tuple[Remote, ...]
    missing: tuple[Remote, ...]
    here: int

    @property
    def folder(self) -> Path:
        return self.repo.folder / self.commit

    @property
    def part(self) -> Path:
        return self.repo.folder / f"{self.commit}.part"

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.missing) - self.here

    @property
    def pickles(self) -> list[str]:
        return [file.name for file in self.files if file.name.endswith(selection.PICKLED)]


def plan(name: str, variant: str | None = None, pickles: bool = False) -> Plan:
    """What pulling `org/repo@revision` means; asks the hub, downloads no weights. Raises SourceError."""
    repo = snapshots.parse(name)
    with _spoken(repo):
        api = _hub().HfApi(endpoint=_endpoint())
        info = api.model_info(repo.id, revision=repo.revision or MAIN, files_metadata=True)
        if not COMMIT.match(info.sha or ""):
            raise SourceError(f"{_endpoint()} does not say which commit `{repo}` is at")
        remotes = {one.rfilename: Remote(one.rfilename, one.size, _digest(one)) for one in info.siblings or ()}
        if any(file.size is None for file in remotes.values()):
            raise SourceError(f"{_endpoint()} does not say how large the files of `{repo}` are; is HF_ENDPOINT a hub?")
        index = json.loads(_small(repo, info.sha, "model_index.json")) if "model_index.json" in remotes else None
        try:
            names = selection.wanted(remotes, variant, pickles, index if isinstance(index, dict) else None)
        except SourceError as error:
            raise SourceError(f"`{repo}`: {error}") from None
        if index is None:  # a gated repository shows its list to everyone; so that it is said before consent is asked
            _place(repo, info.sha, names[0])
    files = tuple(sorted((remotes[one] for one in names), key=lambda file: (file.size, file.name)))  # configs first
    made = Plan(repo, info.sha, _licence(info), files, (), 0)
    missing = tuple(file for file in files if not _is_whole(made.folder / file.name, file.size))
    here = sum(min(_size(path), file.size) for file in missing for path in (_unfinished(made, file), made.part / file.name))
    return Plan(repo, info.sha, made.licence, files, missing, here)


def fetch(plan: Plan, report: Report = lambda file, count: None) -> Path:
    """Download what is missing; the snapshot's folder. What was interrupted goes on where it stopped. Raises SourceError."""
    need_space(plan.folder, plan.bytes, f"`{plan.repo}`")
    hub = _hub()
    with _spoken(plan.repo):
        plan.part.mkdir(parents=True, exist_ok=True)
        try:
            with hub.utils.WeakFileLock(plan.repo.folder / ".lock", timeout=0.5):
                for file in plan.missing:
                    if not _is_whole(plan.part / file.name, file.size):
                        _download(plan, file, report)
                _publish(plan)
        except TimeoutError as error:
            if type(error).__module__.startswith("filelock"):
                raise SourceError(f"`{plan.repo}` is being pulled by another program; wait for it") from None
            raise
    return plan.folder


def need_space(folder: Path, count: int, what: str) -> None:
    """SourceError unless `count` bytes fit on the disk of a folder, which need not exist yet."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    if count + SPARE > free:
        raise SourceError(f"{what} needs {_size_text(count)} and the disk of {there} has {_size_text(free)} free: make room, "
                          "or set FLOWMM_HOME to another disk")  # fmt: skip


def _download(plan: Plan, file: Remote, report: Report) -> None:
    """One file into the part folder: under a temporary name, resumed, checked, renamed."""
    from huggingface_hub.file_download import http_get

    target, unfinished = plan.part / file.name, _unfinished(plan, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    if _size(unfinished) > file.size:
        unfinished.unlink()
    url, headers = _place(plan.repo, plan.commit, file.name)
    with _Counted(unfinished, lambda count: report(file.name, count)) as stream:
        http_get(url, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size, displayed_filename=file.name)
    if not _matches(unfinished, file):
        report(file.name, -_size(unfinished))
        unfinished.unlink()
        raise SourceError(f"`{plan.repo}`: {file.name} came with a wrong checksum and was thrown away; pull again")
    os.replace(unfinished, target)


def _publish(plan: Plan) -> None:
    """Make the snapshot visible: files first, then the card that says they are whole."""
    for file in plan.missing:
        target = plan.folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(plan.part / file.name, target)
    before = {one.commit: one for one in snapshots.ours(plan.repo)}
    revision = plan.repo.revision or MAIN
    for other in before.values():  # a branch moves on
        if other.commit != plan.commit and revision in other.revisions:
            _write_card(plan.repo, other.commit, other.licence, [name for name in other.revisions if name != revision], other.files)
    known = before.get(plan.commit)
    files = (known.files if known else {}) | {file.name: {"size": file.size, "digest": file.digest} for file in plan.files}
    _write_card(plan.repo, plan.commit, plan.licence, sorted({*(known.revisions if known else ()), revision}), files)
    shutil.rmtree(plan.part, ignore_errors=True)


def _write_card(repo: Repo, commit: str, licence: str, revisions: list[str], files: dict) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    card = {"repo": repo.id, "commit": commit, "revisions": revisions, "licence": licence, "pulled": now, "files": files}
    write_whole(repo.folder / f"{commit}.json", (json.dumps(card, indent=2) + "\n").encode())


class _Counted:
    """A file that is appended to and says how much came: what http_get writes to."""

    def __init__(self, path: Path, report: Callable[[int], None]):
        self._file = open(path, "ab")  # noqa: SIM115 (closed by the with statement that uses it)
        self._report = report

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> int:
        self._report(len(chunk))
        return self._file.write(chunk)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def truncate(self) -> int:
        """The server began again from the start."""
        before = self._file.seek(0, os.SEEK_END)
        after = self._file.truncate(0)
        self._report(-before)
        return after


def _hub() -> Any:
    """huggingface_hub, without telemetry, Xet or bars of its own, whoever imported it first."""
    import logging

    import huggingface_hub
    from huggingface_hub import constants, utils

    constants.HF_HUB_DISABLE_TELEMETRY = constants.HF_HUB_DISABLE_XET = True
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    utils.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings of retries; what fails is said here
    return huggingface_hub


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _place(repo: Repo, commit: str, file: str) -> tuple[str, dict[str, str]]:
    """Where a file's bytes are, and the headers to ask with: the token goes to the hub alone, not to where it points."""
    hub = _hub()
    url = hub.hf_hub_url(repo.id, file, revision=commit, endpoint=_endpoint())
    found = hub.get_hf_file_metadata(url, endpoint=_endpoint())
    headers = hub.utils.build_hf_headers()
    if urlsplit(found.location)[:2] != urlsplit(url)[:2]:
        headers.pop("authorization", None)
    return found.location, headers


def _small(repo: Repo, commit: str, file: str) -> bytes:
    """A config file's content, read into memory."""
    import io

    from huggingface_hub.file_download import http_get

    url, headers = _place(repo, commit, file)
    into = io.BytesIO()
    http_get(url, into, headers=headers, displayed_filename=file)
    return into.getvalue()


@contextmanager
def _spoken(repo: Repo) -> Iterator[None]:
    """Failures of hub, network and disk as SourceError, each a sentence that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except SourceError:
        raise
    except errors.GatedRepoError:
        token = "your token has no access yet" if _hub().get_token() else "no token is set"
        raise SourceError(f"`{repo}` is gated and {token}: accept its terms on {_endpoint()}/{repo.id}, "
                          "set HF_TOKEN to your access token, pull again") from None  # fmt: skip
    except errors.RevisionNotFoundError:
        raise SourceError(f"`hf:{repo.id}` has no branch, tag or commit `{repo.revision or MAIN}`; "
                          f"its page lists them: {_endpoint()}/{repo.id}/tree/main") from None  # fmt: skip
    except errors.RepositoryNotFoundError:
        raise SourceError(f"there is no model `{repo.id}` on {_endpoint()}; mind the spelling, or set HF_TOKEN if it is private") from None
    except errors.EntryNotFoundError:
        raise SourceError(f"`{repo}` lists a file that the hub does not have; pull again") from None
    except errors.OfflineModeIsEnabled:
        raise SourceError("HF_HUB_OFFLINE is set, so nothing can be pulled; unset it and pull again") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        if status in (401, 403):
            raise SourceError(f"{_endpoint()} refuses `{repo}` ({status}): set HF_TOKEN to an access token that may read it, pull again") from None
        raise SourceError(f"{_endpoint()} answered {status} for `{repo}`; try again later, what came is kept") from None
    except errors.HTTPError as error:
        raise SourceError(f"{_endpoint()} cannot be reached ({type(error).__name__}): mind the network, then pull again; what came is kept") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(f"the disk of {repo.folder} is full: make room, then pull `{repo}` again; what came is kept") from None
        if error.errno is None:  # huggingface_hub's own: a body that ended too early, a proxy's page
            raise SourceError(f"`{repo}`: a file came cut short or not from a hub; pull again, what came is kept") from None
        raise
    except ValueError as error:  # no JSON where JSON was due
        raise SourceError(f"{_endpoint()} gives no answer a hub would give ({type(error).__name__}); is HF_ENDPOINT right?") from None


def _digest(sibling: Any) -> str:
    lfs = getattr(sibling, "lfs", None)
    return (lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)) or getattr(sibling, "blob_id", None) or ""


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    stated = getattr(card, "license", None)
    if stated == "other":
        stated = getattr(card, "license_name", None) or stated
    tagged = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
    return stated if isinstance(stated, str) else ", ".join(stated) if isinstance(stated, list) else tagged


def _matches(path: Path, file: Remote) -> bool:
    if _size(path) != file.size:
        return False
    if len(file.digest) not in (40, 64):
        return True
    made = hashlib.sha256() if len(file.digest) == 64 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            made.update(chunk)
    return made.hexdigest() == file.digest


def _unfinished(plan: Plan, file: Remote) -> Path:
    path = plan.part / file.name
    return path.with_name(f"{path.name}.unfinished")


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _size_text(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
