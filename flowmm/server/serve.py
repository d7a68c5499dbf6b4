"""`flowmm serve`: bind, say where, serve until told to stop."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

from ..engine.runtime import choose_device
from ..files import write_whole
from ..graph.problems import GraphError, Problem
from ..home import home
from . import logs
from .guard import login_url, new_token
from .settings import Settings

STOPPING = 15  # seconds that open connections have when the server stops
SILENT = 20.0  # seconds between pings of a socket, and until one without an answer is closed


def serve(host: str, port: int, devices: list[str], *, token: str | None, hosts: list[str], roots: list[Path], threads: int, dtype: str, as_json: bool) -> None:
    """Serve until interrupted. token: None takes the one of this home folder, "" none. Raises GraphError for what cannot be done."""
    if token == "" and not loopback(host):
        message = f"without a token the server listens to this machine alone, not to `{host}`"
        raise GraphError([Problem("no-token", message, fix="Leave --no-token out, or give --host 127.0.0.1.")])
    bound = bind(host, port)
    port = bound.getsockname()[1]
    token = stored_token(home() / "server") if token is None else token
    settings = Settings(
        home=home(), token=token, host=host, port=port, devices=tuple(choose_device(device) for device in devices or ["auto"]), dtype=dtype, threads=threads,
        roots=tuple(root.expanduser().resolve() for root in roots), hosts=frozenset(hosts),
    )  # fmt: skip
    logs.set_up(as_json)
    # Whatever a library would do on its own: this server reaches for nothing outside.
    os.environ.update(HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    import uvicorn

    from .app import build, guarded
    from .parts import open_parts

    try:
        parts = open_parts(settings)
    except OSError as error:
        raise GraphError([Problem("cannot-serve", str(error), fix="Free the folder, or choose another with FLOWMM_HOME.")]) from None
    config = uvicorn.Config(
        guarded(build(parts), parts), log_config=None, access_log=False, server_header=False, ws="websockets-sansio", ws_max_size=1 << 16,
        ws_ping_interval=SILENT, ws_ping_timeout=SILENT, timeout_graceful_shutdown=STOPPING, lifespan="on", proxy_headers=False,
    )  # fmt: skip
    print(f"flowmm serves {settings.home} at\n\n    {login_url(host, port, token)}\n", file=sys.stderr, flush=True)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """The desk first: whoever waits for a run is answered at once, so that nobody's patience ends before what runs is put back."""
            await parts.in_thread(parts.desk.stop)
            await super().shutdown(sockets)

    Server(config).run(sockets=[bound])


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, or one sentence about why not. port: 0 for any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # said, so that asyncio sends small answers at once and not 40 ms later
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(2048)
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise GraphError([Problem("cannot-bind", f"cannot listen at {host}:{port}: {reason.lower()}", fix="Choose another with --port or --host.")]) from None
    return made


def loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def stored_token(folder: Path) -> str:
    """This home's token, made at the first start, so that open pages find their server again after a restart. Readable by its owner alone."""
    path = folder / "token"
    try:
        found = path.read_text().strip()
        if len(found) >= 32:
            return found
    except OSError:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    made = new_token()
    was = os.umask(0o077)
    try:
        write_whole(path, made.encode())
    finally:
        os.umask(was)
    return made
