"""An S3 server of the test's own (moto), and a way to it that can fail and be slow."""

from __future__ import annotations

import contextlib
import functools
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3

BUCKET = "bucket"

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED42",
    "AWS_SECRET_ACCESS_KEY": "planted/Secret+Key/0123456789abcdefghijkl",
    "AWS_SESSION_TOKEN": "plantedSessionToken0123456789plantedSessionToken",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""For whoever talks to the server; it accepts anything. No such key exists anywhere."""

PLANTED = (*list(KEYS.values())[:3],)
"""What must be found nowhere."""

Rule = Callable[[str, str], str | float | None]
"""Called with method and path of a request; returns "drop" (half an answer, then nothing), "cut" (no answer at all), a
status such as "503", seconds to wait, or None to let it pass."""


@contextmanager
def server() -> Iterator[str]:
    """The address of an S3 server with one empty bucket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        running.stop()


@functools.cache
def client(address: str) -> Any:
    """A plain client of the server, past everything that is tested."""
    return boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )


def objects(address: str, prefix: str = "") -> dict[str, bytes]:
    """Every object below a prefix, by key."""
    s3 = client(address)
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {o["Key"]: s3.get_object(Bucket=BUCKET, Key=o["Key"])["Body"].read() for o in listed}


@dataclass
class Proxy:
    """What stands before the server: what it was asked, and how it is to behave."""

    rule: Rule = lambda method, path: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def count(self, method: str, part: str = "") -> int:
        """Requests so far with that method and that text in their path."""
        return sum(m == method and part in p for m, p in self.asked)


@contextmanager
def proxy(behind: str, at: socket.socket | None = None) -> Iterator[Proxy]:
    """A server that passes requests on to another as far as its rule lets it; on loopback unless there is a socket."""
    state, at = Proxy(), at or socket.create_server(("127.0.0.1", 0))
    with (
        at,
        ThreadingHTTPServer(at.getsockname(), _handler(state, behind.removeprefix("http://")), False) as http_server,
    ):
        http_server.socket.close()
        http_server.socket = at
        state.address = "http://{}:{}".format(*at.getsockname())
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            http_server.shutdown()


def _handler(state: Proxy, behind: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            is_chunked = self.headers.get("Transfer-Encoding") == "chunked"
            body = self.chunks() if is_chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append((self.command, self.path))
            what = state.rule(self.command, self.path)
            if isinstance(what, float):
                time.sleep(what)
            if what == "cut":
                self.close_connection = True
            elif isinstance(what, str) and what != "drop":
                self.answer(int(what), {}, b"")
            else:
                link = http.client.HTTPConnection(behind)
                link.request(self.command, self.path, body, dict(self.headers))
                got = link.getresponse()
                # Who waited too long has left.
                with contextlib.suppress(ConnectionError):
                    self.answer(got.status, dict(got.getheaders()), got.read(), is_half=what == "drop")
                link.close()

        def chunks(self) -> bytes:
            """A body that tells its length as it comes, as it comes."""
            pieces = []
            while True:
                line = self.rfile.readline()
                size = int(line.partition(b";")[0], 16)
                pieces.append(line)
                if size == 0:
                    break
                pieces.append(self.rfile.read(size + 2))
            # Headers that come last, and an empty line.
            while pieces[-1] != b"\r\n":
                pieces.append(self.rfile.readline())
            return b"".join(pieces)

        def answer(self, status: int, headers: dict[str, str], content: bytes, is_half: bool = False) -> None:
            self.send_response(status)
            sent = {k: v for k, v in headers.items() if k.lower() not in ("transfer-encoding", "connection")}
            sent.setdefault("Content-Length", str(len(content)))
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if is_half else content)
            self.close_connection = is_half

        def log_message(self, *_: object) -> None:
            """Nothing: tests count what was asked."""

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on

    return Handler
