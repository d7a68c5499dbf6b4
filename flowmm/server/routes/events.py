"""The one socket: frames of msgpack, from the server to whoever listens."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgpack
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from ..parts import Parts

STUCK = 30.0  # seconds a reader may take to accept one frame
MOST_HEARD = 1_000  # messages of a client, which has nothing to say; more are abuse
TRY_LATER, TOO_MUCH = 1013, 1008


def router(parts: Parts) -> APIRouter:
    routes = APIRouter()

    @routes.websocket("/api/events")
    async def events(socket: WebSocket, since: Annotated[int | None, Query()] = None, epoch: str = "", run: str = "") -> None:
        """since, epoch: of the last frame seen, to have what was missed. run: only this run's frames."""
        await socket.accept()
        if parts.hub.listening >= parts.settings.limits.sockets:
            await socket.close(TRY_LATER, "too many listeners")
            return
        listener = parts.hub.listen(since, epoch, run)
        hearing = asyncio.create_task(_hear(socket))
        sending = asyncio.create_task(_send(socket, listener))
        try:
            await asyncio.wait([hearing, sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            listener.close()
            for task in (hearing, sending):
                task.cancel()
            await asyncio.gather(hearing, sending, return_exceptions=True)

    async def _send(socket: WebSocket, listener) -> None:
        """Until the reader is gone, or does not read."""
        try:
            await socket.send_bytes(msgpack.packb(listener.hello))
            async for frame in listener:
                await asyncio.wait_for(socket.send_bytes(frame), STUCK)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return

    async def _hear(socket: WebSocket) -> None:
        """Notice when the client leaves; what it says is nothing to us."""
        for _ in range(MOST_HEARD):
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
        await socket.close(TOO_MUCH, "nothing is listening to what you say")

    return routes
