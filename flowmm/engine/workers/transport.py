"""Messages between a process and its worker's: msgpack frames over a socket, large buffers by shared memory.

The large buffers of a message lie in one anonymous file, in memory where the system has such files, and its descriptor
travels with the frame. The file never has a name, so nothing is left behind however either side ends.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import struct
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgpack

from ...store.codec import Encoded

LARGE = 64 * 1024  # bytes: shorter buffers are copied through the socket, which costs less than a mapping
ALIGNMENT = 64
READ = 256 * 1024
_HEAD = struct.Struct("<QB")  # length of the message, whether a descriptor comes with it
_ENCODED, _HELD = 1, 2
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Closed(Exception):
    """The other side has gone."""


@dataclass(frozen=True, slots=True)
class Held:
    """A value the other side holds already, by the number it was given."""

    slot: int


class Channel:
    """One end of the socket. Any thread may send; one thread receives.

    A message is what msgpack can write, with Encoded and Held values anywhere in it.
    """

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._sending = threading.Lock()
        self._received = bytearray()
        self._descriptors: deque[int] = deque()

    def send(self, message: Any) -> None:
        """Raises Closed; OSError where there is no room for the buffers."""
        large = _Large()
        body = msgpack.packb(message, default=large.pack, unicode_errors="surrogatepass")
        descriptor = large.write() if large.pieces else None
        head = _HEAD.pack(len(body), descriptor is not None)
        try:
            with self._sending:
                if descriptor is not None:
                    sent = socket.send_fds(self._connection, [head], [descriptor])
                    self._connection.sendall(head[sent:])
                    self._connection.sendall(body)
                else:
                    self._connection.sendall(head + body)
        except OSError as error:
            raise Closed from error
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def receive(self) -> Any:
        """The next message; waits for it. Raises Closed."""
        self._fill(_HEAD.size)
        length, with_descriptor = _HEAD.unpack_from(self._received)
        end = _HEAD.size + length
        self._fill(end)
        body = bytes(memoryview(self._received)[_HEAD.size : end])
        del self._received[:end]
        memory = _mapped(self._descriptors.popleft()) if with_descriptor else None
        return msgpack.unpackb(body, ext_hook=_Unpacker(memory), unicode_errors="surrogatepass", strict_map_key=False)

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._connection, READ, 8, _CLOSE_ON_EXEC)
            except OSError as error:
                raise Closed from error
            if not data:
                raise Closed
            self._descriptors.extend(descriptors)
            self._received += data

    def shut(self) -> None:
        """End both directions, so that a thread that waits in receive or send gets Closed."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())


class _Large:
    """Collects the large buffers of one message while it is packed."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, memoryview]] = []
        self._end = 0

    def pack(self, value: Any) -> msgpack.ExtType:
        if type(value) is Held:
            return msgpack.ExtType(_HELD, struct.pack("<Q", value.slot))
        if type(value) is not Encoded:
            raise TypeError(f"a {type(value).__name__} cannot be part of a message")
        buffers: list[Any] = []
        for buffer in value.buffers:
            view = memoryview(buffer)
            if view.nbytes < LARGE:
                buffers.append(bytes(view))
                continue
            start = self._end + -self._end % ALIGNMENT
            self._end = start + view.nbytes
            self.pieces.append((start, view.cast("B")))
            buffers.append((start, view.nbytes))
        return msgpack.ExtType(_ENCODED, msgpack.packb((value.header, buffers)))

    def write(self) -> int:
        """The descriptor of a new file with the pieces: in memory, or on disk where memory for it is short."""
        try:
            return self._write(anonymous_file())
        except OSError:
            return self._write(_temporary_file())

    def _write(self, descriptor: int) -> int:
        try:
            for start, view in self.pieces:
                done = 0
                while done < view.nbytes:
                    done += os.pwrite(descriptor, view[done:], start + done)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


class _Unpacker:
    """Makes Encoded and Held values again; buffers are views onto the message's memory."""

    def __init__(self, memory: mmap.mmap | None):
        self._view = memoryview(memory) if memory is not None else None

    def __call__(self, code: int, data: bytes) -> Any:
        if code == _HELD:
            return Held(struct.unpack("<Q", data)[0])
        header, buffers = msgpack.unpackb(data)
        return Encoded(header, [b if type(b) is bytes else self._view[b[0] : b[0] + b[1]] for b in buffers])


def anonymous_file() -> int:
    """The descriptor of a new file without a name."""
    return os.memfd_create("flowmm") if hasattr(os, "memfd_create") else _temporary_file()


def _temporary_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _mapped(descriptor: int) -> mmap.mmap:
    """The file's bytes; copy-on-write, since torch knows no read-only memory."""
    try:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)
