"""Tests of compose's reverse proxy, with a real nginx in front of a real gunicorn."""

import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlencode

import pytest

from tests.fixtures.databases import disconnect
from tests.fixtures.desk import config_from
from tests.fixtures.machine import need
from webapp import create_app
from webapp.ledger.transaction import unit_of_work
from webapp.people import throttle

PROXY = Path(__file__).parents[2] / "proxy"
INSTALL = "apt-get install nginx-light"
SLOW = 40  # connections of each kind: several times the service's threads
UNFINISHED = [
    b"GET /login HTTP/1.1\r\nHost: desk\r\nX-Slow: ",
    b"POST /login HTTP/1.1\r\nHost: desk\r\nContent-Length: 5000\r\n\r\nusername=",
]


@pytest.fixture
def proxy(tmp_path):
    """Start nginx in front of a service, as in compose but with other paths and ports."""
    program = need("nginx", INSTALL)

    @contextmanager
    def start(address, https, name_server="127.0.0.11"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        changed = {
            " /tmp/": f" {tmp_path}/",
            "/etc/nginx/desk/": f"{tmp_path}/",
            "/etc/nginx/certificates/": f"{tmp_path}/",
            "web:5000": address,
            "127.0.0.11 valid=5s": f"{name_server} valid=1s",
            "listen 8080": f"listen 127.0.0.1:{port}",
        }
        for name in ("nginx.conf", "desk.conf", f"https-{https}.conf"):
            text = (PROXY / name).read_text()
            for shipped, here in changed.items():
                text = text.replace(shipped, here)
            (tmp_path / name).write_text(text)
        shutil.move(tmp_path / f"https-{https}.conf", tmp_path / "listen.conf")
        command = [program, "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off; user root;"]
        with (tmp_path / "nginx.log").open("w") as log:
            process = subprocess.Popen(command, stderr=log)
        try:
            while not answers(port):
                with suppress(subprocess.TimeoutExpired):
                    raise AssertionError(
                        f"{process.wait(0.1)}: {(tmp_path / 'nginx.log').read_text()}"
                    )
            yield port
        finally:
            process.terminate()
            process.wait(30)

    return start


def address_of(server):
    return server.url.removeprefix("http://")


def status(port, path="/healthz"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class NameServer(socketserver.UDPServer):
    """Answers every question for an IPv4 address with the one that it holds."""

    def __init__(self, address):
        super().__init__(("127.0.0.1", 0), None)
        self.address = address

    def finish_request(self, request, client_address):
        data, client = request
        question = data[12 : data.index(b"\0", 12) + 5]
        is_ipv4 = question[-3] == 1  # the type A
        counts = bytes([0, 1, 0, is_ipv4, 0, 0, 0, 0])
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(self.address)
        answer = data[:2] + b"\x81\x80" + counts + question + record * is_ipv4
        client.sendto(answer, client_address)


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_slow_clients_block_nobody_and_are_disconnected(serve, proxy):
    with ExitStack() as stack:
        server = stack.enter_context(serve(workers=1))
        port = stack.enter_context(proxy(address_of(server), "no"))
        clients = []
        for request in UNFINISHED * SLOW:
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            clients[-1].sendall(request)
        started = monotonic()
        for path in ("/login", "/healthz"):
            assert status(port, path) == 200
        assert monotonic() - started < 5  # without nginx, it would wait for the slow clients
        for client in clients:
            client.settimeout(30)  # nginx disconnects after ten seconds
            assert re.match(rb"HTTP/1.1 408|$", client.recv(100))
        assert status(port, "/metrics") == 404


def test_service_that_comes_back_at_another_address_is_reached(serve, proxy):
    with serve(workers=1) as server, NameServer("127.0.0.2") as names:
        threading.Thread(target=names.serve_forever, daemon=True).start()
        web = address_of(server).replace("127.0.0.1", "web")
        with proxy(web, "no", f"127.0.0.1:{names.server_address[1]}") as port:
            assert status(port) == 502
            names.address = "127.0.0.1"
            until = monotonic() + 30
            while status(port) != 200:
                assert monotonic() < until
                sleep(0.1)
        names.shutdown()


def test_only_uploaded_files_may_be_large(serve, proxy):
    with serve() as server, proxy(address_of(server), "no") as port:
        body = b"x" * 1_000_000

        def sent(path):
            address = f"http://127.0.0.1:{port}{path}"
            try:
                with urllib.request.urlopen(address, data=body, timeout=30) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        # They have no token: Loan Desk has answered.
        assert [sent("/outcomes"), sent("/batches")] == [400, 400]
        assert [sent("/login"), sent("/outcomes/"), sent("/decisions/1/outcome")] == [413] * 3


def sign_in_status(port, source):
    """Try to sign in from an address of this machine, and claim to have another."""
    client = HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    claimed = {"X-Forwarded-For": "192.0.2.99"}
    client.request("GET", "/login", headers=claimed)
    page = client.getresponse()
    cookie, text = page.headers["Set-Cookie"].partition(";")[0], page.read().decode()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)[1]
    form = urlencode({"username": "nobody", "password": "wrong", "csrf_token": token})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    client.request("POST", "/login", form, headers={**claimed, **kind})
    status = client.getresponse().status
    client.close()
    return status


def test_wrong_sign_ins_are_limited_by_the_address_of_the_client(serve, proxy):
    with (
        serve(workers=1, LOAN_PROXIES="1") as server,
        proxy(address_of(server), "no") as port,
    ):
        app = create_app(config_from(server.environment))
        with app.app_context():
            limit = throttle.of_address("127.0.0.1")
            for _ in range(throttle.MAX_OF_ADDRESS):
                with unit_of_work() as transaction:
                    throttle.count_try(transaction, [limit])
        disconnect(app)
        assert sign_in_status(port, "127.0.0.1") == 429
        assert sign_in_status(port, "127.0.0.2") == 200


def test_https_with_a_certificate(serve, proxy, tmp_path):
    make = [need("openssl", "apt-get install openssl"), "req", "-x509", "-newkey", "rsa:2048"]
    subject = [
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=desk",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    files = ["-keyout", str(tmp_path / "desk.key"), "-out", str(tmp_path / "desk.pem")]
    subprocess.run([*make, *subject, *files], check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=tmp_path / "desk.pem")
    with serve(workers=1, LOAN_HTTPS="yes") as server, proxy(address_of(server), "yes") as port:
        spoofed = {
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "evil",
            "Forwarded": "host=evil",
        }
        request = urllib.request.Request(f"https://localhost:{port}/login", headers=spoofed)
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
            assert answer.headers["Strict-Transport-Security"]
            assert "; Secure" in answer.headers["Set-Cookie"]
            assert "evil" not in answer.read().decode()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(
                b"GET /login?a=b HTTP/1.1\r\nHost: desk:8080\r\nConnection: close\r\n\r\n"
            )
            response = plain.makefile().read()
        assert "308" in response.splitlines()[0]
        assert "Location: https://desk:8080/login?a=b\n" in response
