"""A control process ends in order: what its relay said last is taken before anything stops."""

import asyncio
import os
import signal

import pytest

from middleware.control import lifetime
from middleware.control.lifetime import until_stopped
from middleware.control.link import RelayClosedError


async def _for_ever() -> None:
    await asyncio.Event().wait()


def test_a_signal_that_overtakes_the_relays_last_words_loses_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that ends sends both: the workers are stopped once its end of the socket has been read to its end."""
    monkeypatch.setattr(lifetime, "_LAST_WORDS_SECONDS", 60.0)
    order: list[str] = []

    async def heard() -> None:
        """A later signal has been heard: so has the first."""
        later = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, later.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await later.wait()

    async def scenario() -> int:
        async def relay() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await heard()
            await asyncio.sleep(0)  # what follows the signal has had its chance
            order.append("last words")
            raise RelayClosedError

        async def ending() -> None:
            order.append("ending")

        return await until_stopped(relay, _for_ever, ending)

    assert asyncio.run(scenario()) == 0
    assert order == ["last words", "ending"]


def test_a_control_that_is_ended_beside_its_relay_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay goes on, and will start another control; so it is with a monitor, which has none."""
    monkeypatch.setattr(lifetime, "_LAST_WORDS_SECONDS", 0.01)

    async def serve() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await _for_ever()

    assert asyncio.run(until_stopped(serve, _for_ever)) == 0
    assert asyncio.run(until_stopped(None, serve)) == 0
