"""Ports for child processes that listen a while after their port was chosen."""

import socket

import pytest

from middleware.demo.processes import free_port


def test_a_free_port_is_kept_for_who_knows_its_number() -> None:
    """Nobody listens there, nobody is given it by chance, and a server can listen there."""
    port = free_port(0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as anybody, pytest.raises(OSError, match="in use"):
        anybody.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        pass


def test_the_preferred_port_is_taken_where_it_is_free() -> None:
    """Else another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
