"""What a process and all that it started listen on, and whether it answers those who bring no token."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import grpc

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same in IPv6, and ::1, as /proc writes them."""

METHODS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "CoreWorkerService/GetCoreWorkerStats",
    "ReporterService/GetTraceback",
)
"""A call for every kind of server that a node of Ray runs."""

_LISTENING = "0A"


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A socket that listens."""

    host: str
    """As /proc writes it."""
    port: int
    command: str


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def listening(pid: int) -> list[Listening]:
    """The TCP sockets on which a process or one below it listens."""
    places = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING:
                host, _, port = fields[1].partition(":")
                places[fields[9]] = (host, int(port, 16))
    found = {}
    for each in descendants(pid):
        try:
            command = Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ")
            links = [str(path.readlink()) for path in Path(f"/proc/{each}/fd").iterdir()]
        except OSError:
            continue
        for link in links:
            match = re.fullmatch(r"socket:\[(\d+)\]", link)
            if match and match[1] in places:
                host, port = places[match[1]]
                found[host, port] = Listening(host=host, port=port, command=command)
    return list(found.values())


def answers(port: int, token: str = "") -> list[str]:
    """What the server at a port of loopback says to one call of each kind, and to a request of HTTP."""
    found = []
    bearer = f"Bearer {token}"
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in METHODS:
            try:
                metadata = [("authorization", bearer)] if token else []
                channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=20, metadata=metadata)
                found.append("OK")
            except grpc.RpcError as error:
                found.append(error.code().name)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": bearer} if token else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            found.append(str(answer.status))
    except urllib.error.HTTPError as error:
        found.append(str(error.code))
    except Exception as error:
        found.append(type(error).__name__)
    return found
