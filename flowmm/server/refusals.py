"""Refused: what the server will not or cannot do, as one sentence, what to do, and the HTTP status that says so."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..graph.problems import Problem


class Refused(Exception):
    """status: of HTTP. code: for programs, stable. message: one sentence without a full stop. fix: what to do.
    problems: of a graph, where that is the reason."""

    def __init__(self, status: int, code: str, message: str, fix: str = "", problems: Iterable[Problem] = ()):
        self.status, self.code, self.message, self.fix = status, code, message, fix
        self.problems = list(problems)
        super().__init__(f"{message}. {fix}" if fix else message)

    def as_json(self) -> dict[str, Any]:
        return failure(self.code, self.message, self.fix, [problem.as_json() for problem in self.problems])


def failure(code: str, message: str, fix: str = "", problems: Iterable[Any] = ()) -> dict[str, Any]:
    """The one shape of every answer that says why not."""
    return {"error": {"code": code, "message": message, "fix": fix, "problems": list(problems)}}


@contextmanager
def writing(what: str) -> Iterator[None]:
    """The disk's errors inside, as Refused."""
    try:
        yield
    except OSError as error:
        raise refusal(error, what, "written") from error


def refusal(error: OSError, what: str, verb: str) -> Refused:
    """An error of the disk as Refused: 507 where it is full, 403 where it may not be used, else 500. verb: read, written."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(507, "disk-full", f"{what} cannot be {verb}: the disk is full", "Make room, then try again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(403, "no-permission", f"{what} cannot be {verb}: {reason}", "Let flowmm use its folder, then try again.")
    return Refused(500, "disk", f"{what} cannot be {verb}: {reason}", "See whether the disk is well, then try again.")
