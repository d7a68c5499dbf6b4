"""A run from its submission to its end, for the faces that wait for one: forms and tools."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgpack

from ..graph.problems import GraphError
from .desk import Asked
from .journal import ENDED, Run
from .journal_file import JournalError
from .parts import Parts
from .refusals import Refused

log = logging.getLogger("flowmm.server")
MOST_SHOWN = 5  # problems of a graph in one message


class Unfinished(Exception):
    """A run that was refused, or that ended without its outputs; its text is for people."""


class Follower:
    """One run: `await start()`, then frames of the hub while it goes on, then `ended` has it. Leaving early cancels it."""

    def __init__(self, parts: Parts, asked: Asked):
        self.parts, self.asked = parts, asked
        self.run: Run | None = None

    async def start(self) -> str:
        """Submit it; its id. Raises Unfinished."""
        submitting = asyncio.ensure_future(self._submit())
        try:
            self.run = await asyncio.shield(submitting)
        except asyncio.CancelledError:  # whoever asked has gone; what is journalled meanwhile is not wanted
            submitting.add_done_callback(lambda done: done.exception() or cancel(self.parts, done.result().id))
            raise
        except GraphError as error:
            more = len(error.problems) - MOST_SHOWN
            shown = [str(problem) for problem in error.problems[:MOST_SHOWN]] + [f"… and {more} more problems."] * (more > 0)
            raise Unfinished("\n".join(shown)) from None
        except (Refused, JournalError) as error:
            raise Unfinished(str(error)) from None
        return self.run.id

    async def _submit(self) -> Run:
        return await asyncio.wrap_future(await self.parts.in_thread(self.parts.desk.submit, self.asked))

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """What the hub says of the run, until it has ended."""
        listener = self.parts.hub.listen(run=self.run.id)
        arriving = aiter(listener)
        frame = asyncio.ensure_future(anext(arriving))
        ended = asyncio.wrap_future(await self.parts.in_thread(self.parts.desk.when_ended, self.run.id))
        try:
            while not ended.done():
                await asyncio.wait([ended, frame], return_when=asyncio.FIRST_COMPLETED)
                if frame.done():
                    yield msgpack.unpackb(frame.result())
                    frame = asyncio.ensure_future(anext(arriving))
            self.run = ended.result()
        finally:
            frame.cancel()
            listener.close()
            if not ended.done():  # whoever wanted it has gone
                cancel(self.parts, self.run.id)

    def outputs(self) -> dict[str, Any]:
        """Its outputs by name, each with key, type and summary. Waits for the disk. Raises Unfinished unless it is done."""
        if self.run.state != "done":
            raise Unfinished(why(self.run))
        return {one.name: one for one in self.parts.journal.outputs(self.run.id)}


def why(run: Run) -> str:
    """Why a run has no outputs, as people read it."""
    error = run.error or {}
    if not error:
        return f"The run was {run.state}."
    return ". ".join(part.rstrip(".") for part in (error["message"], error.get("fix", "")) if part) + "."


def cancel(parts: Parts, id_: str) -> None:
    """Cancel a run without waiting for it; from the event loop."""
    asyncio.get_running_loop().run_in_executor(None, functools.partial(_cancel, parts, id_))


def _cancel(parts: Parts, id_: str) -> None:
    try:
        if parts.desk.get(id_).state not in ENDED:
            parts.desk.cancel(id_)
    except (Refused, JournalError) as error:
        log.warning("a run that nobody waits for could not be cancelled: %s", error, extra={"run": id_})
