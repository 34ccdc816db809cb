"""A Ray cluster of several machines on this one: every node has a network, processes and a temporary folder of its own.

A node is a network namespace on a bridge, which itself lies in a namespace, so nothing here can be reached from the
machine's own network. Its processes share a PID namespace: killing its first process takes all of them at once, as a
power cut would. All nodes see the same file system, as machines with a shared folder do.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.account import until
from support.command import environment

PORT = 6379
DASHBOARD = 8265

_TOOLS = ("ip", "unshare", "nsenter", "setpriv", "mount")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_NUMBER = itertools.count()
_RAY_TMP = Path("/tmp/ray")  # of each node its own, mounted there: the paths of Ray's sockets must be short

_QUICK = {
    # A node counts as dead after 3 unanswered calls: within seconds, where Ray's own setting takes half a minute.
    "RAY_health_check_initial_delay_ms": "3000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    # Ray has its workers give way to everything else on a machine, which a busy one never ends.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@functools.cache
def problem() -> str:
    """Why there can be no such cluster here; empty where there can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        return f"needs root and {', '.join(missing or _TOOLS)}"
    name = f"irnas{os.getpid()}-try"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return " ".join(probe.stderr.split())


@dataclass
class Node:
    """One machine of the cluster."""

    name: str
    address: str
    """IPv4 on the cluster's own network."""
    folder: Path
    """Its log, and Ray's temporary folder."""
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    words: list[str] = field(default_factory=list)
    """What it runs."""
    commands: list[subprocess.Popen[str]] = field(default_factory=list)
    """What was started on it since."""

    @property
    def log(self) -> str:
        """What its Ray has printed."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def init(self) -> int:
        """The first process of its PID namespace."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def boot(self, words: list[str]) -> None:
        """Start a program as the node's first process."""
        self.words = words
        mounts = f"mount -t tmpfs tmpfs /dev/shm && mount --bind {self.folder / 'tmp'} {_RAY_TMP}"
        # Whoever started the node takes it along when it dies, in whichever way.
        bound = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.name]
        command = [*bound, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "sh", "-c", f'{mounts} && exec "$@"', "sh", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                cwd="/",
                start_new_session=True,
            )

    def inside(self, words: list[str]) -> list[str]:
        """The command that runs ``words`` on this node."""
        return ["nsenter", "--target", str(self.init), "--net", "--pid", "--mount", "--", *words]

    def start(self, folder: Path, *words: str, **more: str) -> subprocess.Popen[str]:
        """`irnas WORDS` in ``folder`` on this node, with which it ends. ``more`` goes to its environment."""
        with (folder / "out.txt").open("a") as out:
            command = subprocess.Popen(
                # nsenter would leave the working folder's mount behind, so the shell goes there once inside.
                self.inside(["sh", "-c", 'cd "$0" && exec "$@"', str(folder), sys.executable, "-m", "irnas", *words]),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                env={**self.environment, **more},
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self.commands.append(command)
        return command

    def processes(self, word: str = "") -> dict[int, str]:
        """Command lines by pid, seen from outside the node, of those that hold ``word``."""
        mine = Path(f"/proc/{self.init}/ns/net").readlink()
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns" / "net").readlink() == mine:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if line and word in line:
                        found[int(entry.name)] = line
        return found

    def trials(self) -> list[int]:
        """The processes that train here."""
        return list(self.processes("ray::ResourceTrainable"))

    def kill(self) -> None:
        """Take the power away."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for command in self.commands:
            command.wait(60)


@dataclass
class Cluster:
    """Nodes on one bridge; the first is the head, which trains nothing."""

    folder: Path
    prefix: str
    environment: Mapping[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def head(self) -> Node:
        """Where Ray's head runs."""
        return self.nodes["head"]

    @property
    def address(self) -> str:
        """What `irnas search --address` takes."""
        return f"{self.head.address}:{PORT}"

    @property
    def workers(self) -> list[Node]:
        """The nodes that train."""
        return [node for name, node in self.nodes.items() if name != "head" and node.process is not None]

    def training(self) -> tuple[Node, int]:
        """A node that trains and the process that does; between two trainings there may be none for a moment."""
        found: list[tuple[Node, int]] = []
        until(lambda: bool(found.extend((n, pid) for n in self.workers for pid in n.trials()) or found), "a training")
        return found[0]

    def add(self, name: str) -> Node:
        """A node on the network, with nothing on it yet; one of that name comes back with the same address."""
        known = self.nodes.get(name)
        number = int(known.address.rpartition(".")[2]) if known else len(self.nodes) + 1
        folder = self.folder / f"{name}{next(_NUMBER)}"
        (folder / "tmp").mkdir(parents=True)
        node = Node(f"{self.prefix}-{name}", f"10.213.7.{number}", folder, self.environment)
        if known is None:
            switch, mine = f"{self.prefix}-switch", f"v-{name}"
            _ip("netns", "add", node.name)
            _ip("-n", switch, "link", "add", mine, "type", "veth", "peer", "name", "eth0", "netns", node.name)
            _ip("-n", switch, "link", "set", mine, "master", "br0", "up")
            _ip("-n", node.name, "address", "add", f"{node.address}/24", "dev", "eth0")
            _ip("-n", node.name, "link", "set", "eth0", "up")
            _ip("-n", node.name, "link", "set", "lo", "up")
        self.nodes[name] = node
        return node

    def start_head(self, *, with_jobs: bool = False) -> Node:
        """Start Ray's head."""
        node = self.add("head")
        jobs = ["--dashboard-host=127.0.0.1", f"--dashboard-port={DASHBOARD}"]
        dashboard = ["--include-dashboard=true", *jobs] if with_jobs else ["--include-dashboard=false"]
        told = [f"--port={PORT}", f"--node-ip-address={node.address}", "--num-cpus=0"]
        # Without the autoscaler's process, which takes seconds to start.
        node.boot(_ray("--head", *told, "--no-monitor", *dashboard))
        _wait(node)
        return node

    def start_worker(self, name: str, cpus: int = 1, gpus: int = 0, label: str | None = None, **more: str) -> Node:
        """Start a node that trains, and do not wait for it; ``more`` goes to its environment.

        With a ``label`` it has one of a resource of that name. The GPUs are Ray's alone: torch sees none.
        """
        node = self.add(name)
        node.environment = {**node.environment, **more}
        told = [f"--address={self.address}", f"--node-ip-address={node.address}"]
        told += [f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        node.boot(_ray(*told, *([f"--resources={json.dumps({label: 1})}"] if label else [])))
        return node

    def wait_for(self, *names: str) -> None:
        """Wait until those nodes have joined."""
        for name in names:
            _wait(self.nodes[name])

    def listen(self, name: str) -> socket.socket:
        """A socket of this process that listens at the address of a node on which nothing else is."""
        node, found = self.add(name), []

        def bind() -> None:
            # Only this thread moves to the node's network; the socket stays there.
            with Path(f"/run/netns/{node.name}").open() as place:
                assert ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _NEW_NETWORK) == 0, ctypes.get_errno()
            found.append(socket.create_server((node.address, 0)))

        thread = threading.Thread(target=bind)
        thread.start()
        thread.join()
        return found[0]

    def link(self, name: str, state: str) -> None:
        """Pull a node's network cable (``down``), or plug it in (``up``)."""
        _ip("-n", f"{self.prefix}-switch", "link", "set", f"v-{name}", state)


@contextmanager
def network(folder: Path, **more: str) -> Iterator[Cluster]:
    """A network without nodes; all that is started on it ends with it. ``more`` goes to the nodes' environment."""
    prefix = f"irnas{os.getpid()}{next(_NUMBER)}"
    _RAY_TMP.mkdir(exist_ok=True)
    found = Cluster(folder, prefix, _environment(folder, more))
    switch = f"{prefix}-switch"
    _ip("netns", "add", switch)
    try:
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        yield found
    finally:
        for node in found.nodes.values():
            node.kill()
            _ip("netns", "del", node.name)
        _ip("netns", "del", switch)


@contextmanager
def cluster(
    folder: Path, *workers: str, with_jobs: bool = False, first_on_path: Path | None = None, **more: str
) -> Iterator[Cluster]:
    """A head and workers of one core each, joined; ``first_on_path`` is where their Python looks first."""
    if first_on_path is not None:
        more["PYTHONPATH"] = f"{first_on_path}{os.pathsep}{environment(folder)['PYTHONPATH']}"
    with network(folder, **more) as found:
        found.start_head(with_jobs=with_jobs)
        for name in workers:
            found.start_worker(name)
        found.wait_for(*workers)
        yield found


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = {**environment(folder), **_QUICK, "PATH": programs, "RAY_AUTH_MODE": "token", **more}
    token = Path(found["HOME"]) / ".ray" / "auth_token"
    if not token.exists():
        token.parent.mkdir(mode=0o700, exist_ok=True)
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    return found


def _ray(*words: str) -> list[str]:
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    return [*start, "--object-store-memory=80000000", "--include-log-monitor=false", *words]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def _wait(node: Node, timeout_s: float = 600) -> None:
    """Wait until a node's Ray is up; where it gave up, as it does on a busy machine, it starts again."""
    until = time.monotonic() + timeout_s
    while "Ray runtime started" not in node.log:
        assert time.monotonic() < until, f"{node.name} is not up after {timeout_s} s: {node.log}"
        if node.process is None or node.process.poll() is not None:
            node.boot(node.words)
        time.sleep(0.2)
