"""The admin listener as a worker: it serves, idles without ticking, and ends when it is told to."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPResponse

from fastapi import FastAPI

from middleware.control.admin_server import AdminServer
from middleware.settings.schema import AdminSettings


def asked(port: int) -> HTTPResponse:
    """An answer, once somebody listens."""
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/here")
            return connection.getresponse()
        except ConnectionRefusedError:
            time.sleep(0.02)
        finally:
            connection.close()


def test_each_answer_has_the_date_and_cancelling_ends_the_server(free_port: int) -> None:
    """Of now, also after a second in which nothing happened; open streams are told before the end."""
    app, closed = FastAPI(), []
    app.get("/here")(lambda: {"here": True})

    async def scenario() -> None:
        server = AdminServer(app, AdminSettings(listen=f"127.0.0.1:{free_port}"), closing=lambda: closed.append(True))
        serving = asyncio.create_task(server.run())
        for _ in range(2):
            before = int(time.time())
            answer = await asyncio.to_thread(asked, free_port)
            assert answer.status == 200
            assert before <= parsedate_to_datetime(answer.headers["date"]).timestamp() <= time.time()
            assert answer.headers.get_all("date") == [answer.headers["date"]]
            await asyncio.sleep(1.1)
        serving.cancel()
        await asyncio.wait({serving})
        assert serving.cancelled()

    asyncio.run(scenario())
    assert closed == [True]
