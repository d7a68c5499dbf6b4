"""A run from its submission to its end, for the faces that wait for one: forms and tools."""

from __future__ import annotations

import asyncio
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
    """One run: `await start()`, then frames of the hub while it goes on, then `ended` has it. Leaving early cancels it. id: "" until it is journalled."""

    def __init__(self, parts: Parts, asked: Asked):
        self.parts, self.asked = parts, asked
        self.id = ""
        self.run: Run | None = None

    async def start(self) -> str:
        """Submit it; its id. Raises Unfinished."""
        submitting = asyncio.ensure_future(self._submit())
        try:
            await asyncio.shield(submitting)
        except asyncio.CancelledError:  # whoever asked has gone; what is journalled meanwhile is not wanted
            submitting.add_done_callback(lambda done: done.exception() or self.stop())
            raise
        except GraphError as error:
            more = len(error.problems) - MOST_SHOWN
            shown = [str(problem) for problem in error.problems[:MOST_SHOWN]] + [f"… and {more} more problems."] * (more > 0)
            raise Unfinished("\n".join(shown)) from None
        except (Refused, JournalError) as error:
            raise Unfinished(str(error)) from None
        return self.id

    async def _submit(self) -> None:
        self.run = await asyncio.wrap_future(await self.parts.in_thread(self.parts.desk.submit, self.asked))
        self.id = self.run.id

    def stop(self) -> None:
        """Cancel it without waiting; from the event loop."""
        asyncio.get_running_loop().run_in_executor(None, self._stop)

    def _stop(self) -> None:
        try:
            self._cancel()
        except (Refused, JournalError) as error:
            log.warning("a run that nobody waits for could not be cancelled: %s", error, extra={"run": self.id})

    def _cancel(self) -> None:
        if self.parts.desk.get(self.id).state not in ENDED:
            self.parts.desk.cancel(self.id)

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
                self.stop()

    def outputs(self) -> dict[str, Any]:
        """Its outputs by name, each with key, type and summary. Waits for the disk. Raises Unfinished unless it is done."""
        if self.run.state != "done":
            raise Unfinished(why(self.run))
        return {one.name: one for one in self.parts.journal.outputs(self.run.id)}


class SweepFollower(Follower):
    """A sweep, all whose runs are waited for."""

    async def _submit(self) -> None:
        self.id = await asyncio.wrap_future(await self.parts.in_thread(self.parts.desk.sweep, self.asked))

    def _cancel(self) -> None:
        self.parts.desk.cancel_sweep(self.id)

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """How many of its runs have ended, until all have. Raises Unfinished where the server stops."""
        swept = await self.parts.in_thread(self.parts.journal.sweep, self.id)
        over = False
        try:
            for done, run in enumerate(swept.runs.values()):
                yield {"type": "progress", "node": "runs", "step": done, "steps": len(swept.runs)}
                run = await asyncio.wrap_future(await self.parts.in_thread(self.parts.desk.when_ended, run.id))
                if run.state not in ENDED:
                    raise Unfinished("The server is stopping; what has ended is kept.")
            over = True
        finally:
            if not over:  # whoever wanted it has gone
                self.stop()


def why(run: Run) -> str:
    """Why a run has no outputs, as people read it."""
    error = run.error or {}
    if not error:
        return f"The run was {run.state}."
    return ". ".join(part.rstrip(".") for part in (error["message"], error.get("fix", "")) if part) + "."
