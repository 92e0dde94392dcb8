"""Keeps one child running: spawns it with its end of a socket pair, and anew, with back-off, when it ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Sequence

from middleware.proxy.link import LinkProtocol, Peer
from middleware.proxy.logs import JsonLog

__all__ = ["RELAY_FD", "Supervisor", "back_off"]

RELAY_FD = "EQWATCH_RELAY_FD"

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A child that ran for longer did not crash on start: the next pause is the first one again.
_HEALTHY_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
# Beside traffic, a second thread of numpy mostly waits for a core, ten times longer than the work takes.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def back_off(crashes: int) -> float:
    """Seconds to wait after this many short-lived children in a row, the present one included."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(crashes - 1, 10))


class Supervisor:
    """Owns the child. command, stdin: what to run and what it reads; link: is told of each new connection.

    worker: its name in the numbers; term_seconds: how long it may take to end when asked to.
    """

    def __init__(
        self,
        command: Sequence[str],
        stdin: bytes,
        link: Peer,
        log: JsonLog,
        *,
        worker: str = "control",
        term_seconds: float = 10.0,
    ) -> None:
        self._term_seconds = term_seconds
        self._command = command
        self._stdin = stdin
        self._link = link
        self._log = log
        self._worker = worker

    async def run(self) -> None:
        """Run the child until cancelled; it is then asked to end, and killed if it does not."""
        loop = asyncio.get_running_loop()
        crashes = 0
        while True:
            began = loop.time()
            try:
                reason = await self._run_once()
            except Exception as error:  # noqa: BLE001 - a child that can't be handled must not end the relay
                reason = f"can't be supervised: {error!r}"
            crashes = 1 if loop.time() - began > _HEALTHY_SECONDS else crashes + 1
            pause = back_off(crashes)
            counters = self._link.context.counters
            counters.count(counters.restarts, self._worker)
            self._log.warning("worker_ended", worker=self._worker, reason=reason, restart_in_seconds=pause)
            await asyncio.sleep(pause)

    async def _run_once(self) -> str:
        """Start the child and wait for its end; what the log shall say of it."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env=_ONE_THREAD | os.environ | {RELAY_FD: str(theirs.fileno())},
                preexec_fn=_die_with_parent(),
                start_new_session=True,  # a Ctrl-C at the terminal is the relay's to act on
            )
        except OSError as error:
            ours.close()
            return f"can't be started: {error}"
        finally:
            theirs.close()
        transport, protocol = await loop.create_connection(lambda: LinkProtocol(self._link), sock=ours)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed(child))
                ended = group.create_task(child.wait())
                lost = group.create_task(protocol.lost.wait())
                await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    child.kill()  # alive without its socket: it is of no use
                lost.cancel()
        finally:
            transport.abort()
            await asyncio.shield(_end(child, self._term_seconds))
        return f"exit status {child.returncode}"

    async def _feed(self, child: asyncio.subprocess.Process) -> None:
        if child.stdin is None:
            return
        try:
            child.stdin.write(self._stdin)
            await child.stdin.drain()
            child.stdin.close()
        except (OSError, RuntimeError) as error:
            # uvloop raises RuntimeError where the child died before the first write and the pipe is closed already
            self._log.warning("worker_stdin_closed", worker=self._worker, error=str(error))


async def _end(child: asyncio.subprocess.Process, seconds: float) -> None:
    """See that the child is gone: ask, then kill."""
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(seconds):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _die_with_parent() -> Callable[[], None]:
    """A function for the child before exec: the kernel kills it when the relay dies, even if it is stopped (Linux)."""
    set_option = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        set_option(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return before_exec
