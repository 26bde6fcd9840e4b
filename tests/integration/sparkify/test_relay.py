"""The relay through which tests cut and hold connections."""

from __future__ import annotations

import socket
import threading

import psutil
import pytest

from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def echo():
    """A server's port; it sends back what it gets."""

    def serve(client):
        with client:
            while data := client.recv(100):
                client.sendall(data)

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("is_cut", [False, True], ids=["left", "cut"])
def test_connections_that_have_ended_leave_nothing_open(echo, is_cut):
    process = psutil.Process()
    with Relay(echo) as relay:
        before = process.num_fds()
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", relay.port)) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"hello"
                if is_cut:
                    relay.cut()
        eventually(lambda: process.num_fds() <= before, "the relay's sockets are closed")
