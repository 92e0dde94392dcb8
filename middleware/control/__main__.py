"""Entry of the control process: settings on standard input, the socket to the relay in EQWATCH_RELAY_FD.

Started by the relay (middleware/server.py), never by hand.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop

from middleware.control.logs import configure_logs
from middleware.settings import Settings
from middleware.settings.secrets import restore_settings

_RELAY_FD = "EQWATCH_RELAY_FD"


def main() -> int:
    """Serve until the relay closes its end or a signal arrives."""
    settings = restore_settings(sys.stdin.read())
    configure_logs(settings.log, sys.stderr)
    relay = socket.socket(fileno=int(os.environ.pop(_RELAY_FD)))
    relay.setblocking(False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_root(settings, relay))


def _root(settings: Settings, relay: socket.socket) -> Coroutine[Any, Any, int]:
    """The work of this process. Only what it needs is imported: an observer is in every pod."""
    if settings.monitor.url:
        from middleware.control.observing import observe

        return observe(settings, relay)
    from middleware.control.composition import serve

    return serve(settings, relay)


if __name__ == "__main__":
    sys.exit(main())
