"""How long an answer is waited for; on sockets, encrypted as Redshift's are and plain."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sparkify.warehouse import Deadline, Session, Warehouse

pytestmark = pytest.mark.unit


@pytest.fixture
def plain():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


@pytest.fixture
def encrypted(plain, tmp_path):
    client, server = plain
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(tmp_path / "pem")
    of_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    of_client.check_hostname, of_client.verify_mode = False, ssl.CERT_NONE
    wrapped = []
    shake = threading.Thread(target=lambda: wrapped.append(of_server.wrap_socket(server, server_side=True)))
    shake.start()
    with of_client.wrap_socket(client) as client:
        shake.join()
        yield client, wrapped[0]


@pytest.mark.parametrize("pair", ["plain", "encrypted"])
def test_who_waits_for_an_answer_that_comes_in_bits_is_woken(pair, request):
    client, server = request.getfixturevalue(pair)
    client.settimeout(30)
    deadline = Deadline(30)

    def read():
        with deadline.session(Session(client)), client.makefile("rb") as stream:
            return stream.read(10)

    with ThreadPoolExecutor() as threads:
        answer = threads.submit(read)
        server.sendall(b"ab")
        while not answer.done():
            Warehouse().end_sessions(deadline)
        assert b"ab".startswith(answer.result(5))


def test_nothing_is_left_of_a_deadline_that_is_over_or_given_up():
    deadline = Deadline(30)
    assert 29 < deadline.left <= 30
    for _ in range(2):
        deadline.give_up()
        assert deadline.left == 0
    assert Deadline(0).left == 0
