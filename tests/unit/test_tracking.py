"""The mirror in a real MLflow store."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import make_url
from support import mirrored
from support.runs import Writer, settings_of, space_folder, write_run

from irnas.core import catalog
from irnas.core.errors import ServiceError, SettingsError
from irnas.core.result import Status
from irnas.record.events import Closed, Resumed
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.storage import lock
from irnas.tracking import client as tracking
from irnas.tracking import database
from irnas.tracking.mlflow_errors import as_irnas_error
from irnas.workflows import execution

pytestmark = [
    # Of MLflow's own making, with the SQLAlchemy that it allows.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store that went through MLflow's migrations once; a copy of it opens at once."""
    tracking.set_environment()
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / database.DATABASE
    MlflowClient(tracking_uri=f"sqlite:///{path}")
    return path


@pytest.fixture
def runs(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs, with a store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(template, folder / database.DATABASE)
    return folder


def client_of(runs: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{runs / database.DATABASE}")


def found(runs: Path) -> list[Any]:
    return mirrored.found(client_of(runs))


def state(runs: Path) -> dict[tuple[str, str], Any]:
    return mirrored.state(client_of(runs))


def small(runs: Path, name: str = "one", **more: Any) -> str:
    return write_run(runs / name, space_folder(runs.parent), **{"trials": 3, **more})


def test_a_search_and_its_trials_are_nested(runs: Path) -> None:
    uri = small(runs)
    tracking.Mirror(uri).sync()
    everything = found(runs)
    (parent,) = (r for r in everything if r.data.tags["irnas.kind"] == "search")
    children = [r for r in everything if r.data.tags["irnas.kind"] == "trial"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert sorted(c.data.tags["irnas.trial"] for c in children) == ["0", "1", "2", "3", "4"]
    assert {r.info.status for r in everything} == {"FINISHED", "FAILED"}
    assert parent.data.params["budget.epochs"] == "4"
    assert parent.inputs.dataset_inputs[0].dataset.name == "nudt-sirst"


def test_what_is_held_is_what_the_ledger_says(runs: Path) -> None:
    uri = small(runs)
    tracking.Mirror(uri).sync()
    mirrored.assert_mirrored(client_of(runs), uri)


def test_runs_are_found_by_family_status_and_front(runs: Path) -> None:
    tracking.Mirror(small(runs, trials=4)).sync()
    client = client_of(runs)
    (experiment,) = [e for e in client.search_experiments() if e.name == tracking.EXPERIMENT]

    def count(where: str) -> int:
        return len(client.search_runs([experiment.experiment_id], where))

    front = count("tags.`irnas.front` = 'true'")
    assert 1 <= front <= count("tags.`irnas.family` = 'toy' and tags.`irnas.status` = 'ok'") == 4
    assert count("tags.`irnas.status` = 'failed'") == count("tags.`irnas.status` = 'rejected'") == 1


def test_the_page_of_a_search_shows_its_front(runs: Path) -> None:
    uri = small(runs)
    tracking.Mirror(uri).sync()
    (parent,) = (r for r in found(runs) if r.data.tags["irnas.kind"] == "search")
    winners = [r.data.tags["irnas.key"] for r in found(runs) if r.data.tags.get("irnas.front") == "true"]
    note = parent.data.tags["mlflow.note.content"]
    head, blank, names, rule, *rows = note.splitlines()
    assert head.startswith(f"{len(winners)} on the front of 4 trained networks") and not blank
    assert names == "| key | mIoU (%) | OPs |" and rule == "| --- | ---: | ---: |"
    assert sorted(row.split("`")[1] for row in rows) == sorted(winners)


def test_the_data_set_is_one_that_mlflow_can_name(runs: Path) -> None:
    from mlflow.data import get_source

    tracking.Mirror(small(runs)).sync()
    (parent,) = (r for r in found(runs) if r.data.tags["irnas.kind"] == "search")
    (logged,) = parent.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("nudt-sirst", "5eed5eed5eed5eed")
    assert get_source(logged.dataset).uri == "data/absent"
    assert [(t.key, t.value) for t in logged.tags] == [("mlflow.data.context", "training")]


def test_the_load_of_the_machine_is_logged_on_demand(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, stop, told = small(runs, closed=None), threading.Event(), list[str]()
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with Ledger(uri).writing():
        follower = threading.Thread(target=tracking.follow, args=(uri, stop, 0.01, told.append))
        follower.start()
        until = time.monotonic() + 30
        logged: set[str] = set()
        while not logged and time.monotonic() < until:
            time.sleep(0.1)
            parents = [r for r in found(runs) if r.data.tags["irnas.kind"] == "search"]
            logged = {name for r in parents for name in r.data.metrics if name.startswith("system/")}
        stop.set()
        follower.join()
    assert "system/cpu_utilization_percentage" in logged and not told
    assert not [r for r in found(runs) if "irnas.trial" in r.data.tags and set(r.data.metrics) & logged]
    before = state(runs)
    tracking.Mirror(uri).sync()
    assert state(runs) == before


def test_syncing_again_changes_nothing(runs: Path) -> None:
    uri = small(runs)
    mirror = tracking.Mirror(uri)
    mirror.sync()
    before = state(runs)
    mirror.sync()
    tracking.Mirror(uri).sync()
    assert state(runs) == before
    assert len(before) == 6


@pytest.mark.parametrize("survivors", [0, 1, 2, 5, 9])
def test_a_sync_that_died_is_completed_by_the_next(
    runs: Path, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    """The store goes away after some calls, each time between two different writes."""
    from mlflow.tracking import MlflowClient

    uri, left = small(runs), [survivors]

    def dying(write: Any) -> Any:
        def call(self: Any, *args: Any, **named: Any) -> Any:
            if not left[0]:
                raise ConnectionError("gone")
            left[0] -= 1
            return write(self, *args, **named)

        return call

    with monkeypatch.context() as patch:
        for name in ("create_run", "log_batch", "set_terminated"):
            patch.setattr(MlflowClient, name, dying(getattr(MlflowClient, name)))
        mirror = tracking.Mirror(uri)
        with pytest.raises(ConnectionError):
            mirror.sync()
    (mirror if survivors % 2 else tracking.Mirror(uri)).sync()
    after = state(runs)
    clean = tmp_path / "clean"
    clean.mkdir()
    shutil.copy(template, clean / database.DATABASE)
    tracking.Mirror(uri, f"sqlite:///{clean / database.DATABASE}").sync()
    assert after == state(clean)


def test_a_run_that_grows_is_followed(runs: Path, tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    parsed, uri = catalog.load(str(space)).focus(), str(runs / "one")
    with Writer(uri=uri, settings=settings_of(str(space)), space=parsed) as writer:
        mirror = tracking.Mirror(uri)
        writer.open()
        mirror.sync()
        assert [r.info.status for r in found(runs)] == ["RUNNING"]
        first, second = parsed.complete({"width": 4}), parsed.complete({"width": 16})
        trial = writer.propose(first)
        values = writer.report(trial, first, 1)
        mirror.sync()
        assert [r.info.status for r in found(runs)] == ["RUNNING"] * 2
        writer.finish(trial, first, Status.STOPPED, values, 1)
        # Somebody else mirrors the next trial first: it must be found, not made twice.
        writer.train(second)
        tracking.Mirror(uri).sync()
        mirror.sync()
        writer.append(Closed(reason="interrupted"))
        mirror.sync()
    assert sorted(times[0] for times, *_ in state(runs).values()) == ["FINISHED", "KILLED", "KILLED"]
    before = state(runs)
    tracking.Mirror(uri).sync()
    assert state(runs) == before


def unfinished(writer: Writer) -> None:
    genotype = writer.space.default()
    writer.report(writer.propose(genotype), genotype, 1)


def test_a_killed_search_leaves_no_run_that_goes_on(runs: Path) -> None:
    uri = small(runs, trials=1, closed=None, then=unfinished)
    with Ledger(uri).writing():
        tracking.rebuild(uri)
        assert sum(r.info.status == "RUNNING" for r in found(runs)) == 2
    tracking.rebuild(uri)
    assert sum(r.info.status == "RUNNING" for r in found(runs)) == 0


def test_a_resumed_search_goes_on_in_the_same_runs(runs: Path) -> None:
    uri = small(runs, trials=1, closed=None, then=unfinished)
    tracking.rebuild(uri)
    killed = {r.info.run_id for r in found(runs)}
    record = Ledger(uri)
    with record.writing():
        record.append(Resumed(trials=12, code_rev="0.1.0"))
        tracking.Mirror(uri).sync()
        assert {r.info.run_id for r in found(runs) if r.info.status == "RUNNING"} < killed
        record.append(Closed(reason="all trials are handed out"))
    tracking.Mirror(uri).sync()
    assert {r.info.run_id for r in found(runs)} == killed
    assert not [r for r in found(runs) if r.info.status == "RUNNING"]


def test_rebuild_makes_what_somebody_deleted(runs: Path) -> None:
    uri = small(runs)
    tracking.rebuild(uri)
    before = state(runs)
    client = client_of(runs)
    for run in found(runs):
        if run.data.tags.get("irnas.trial") in (None, "1"):
            client.delete_run(run.info.run_id)
    assert len(state(runs)) == 4
    assert tracking.rebuild(uri) == (f"sqlite:///{runs / database.DATABASE}", 5)
    assert state(runs) == before


def test_a_search_survives_that_somebody_deletes_its_runs(runs: Path, tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    uri = str(runs / "one")
    with Writer(uri=uri, settings=settings_of(str(space)), space=catalog.load(str(space)).focus()) as writer:
        writer.open()
        mirror = tracking.Mirror(uri)
        mirror.sync()
        for run in found(runs):
            client_of(runs).delete_run(run.info.run_id)
        writer.train(writer.space.default())
        with pytest.raises(Exception, match="deleted"):
            mirror.sync()
        mirror.sync()
    assert len(state(runs)) == 2
    (parent,) = (r for r in found(runs) if r.data.tags["irnas.kind"] == "search")
    assert len(parent.inputs.dataset_inputs) == 1


def test_what_is_complete_is_not_written_again(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    uri = small(runs)
    tracking.Mirror(uri).sync()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("written again")

    for name in ("create_run", "log_batch", "set_terminated", "update_run", "log_artifact"):
        monkeypatch.setattr(MlflowClient, name, refuse)
    tracking.Mirror(uri).sync()


def test_what_came_after_the_end_of_a_trial_is_mirrored_too(runs: Path, tmp_path: Path) -> None:
    """Finalists are trained again when their runs have ended, and the server may be away just then."""
    space = space_folder(tmp_path)
    parsed, uri = catalog.load(str(space)).focus(), str(runs / "one")
    with Writer(uri=uri, settings=settings_of(str(space)), space=parsed) as writer:
        writer.open()
        genotype = parsed.default()
        writer.train(genotype)
        follower = tracking.Mirror(uri)
        follower.sync()
        for seed in (1, 2):
            writer.repeat(0, genotype, seed)
            follower.sync()
        before = state(runs)
        mirrored.assert_mirrored(client_of(runs), uri)
        writer.repeat(0, genotype, 3)
        tracking.Mirror(uri).sync()
        mirrored.assert_mirrored(client_of(runs), uri)
    (run,) = (r for r in found(runs) if "irnas.trial" in r.data.tags)
    (result,) = Run.read(uri).results
    assert run.data.metrics["miou"] == result.values["miou"] and len(before) == 2


def test_of_two_runs_of_one_trial_one_stays(runs: Path) -> None:
    """A server that answers too late has made a run all the same."""
    uri = small(runs)
    tracking.Mirror(uri).sync()
    before, client = state(runs), client_of(runs)
    for run in found(runs):
        tags = {k: v for k, v in run.data.tags.items() if k.startswith(("irnas.", "mlflow.parentRunId"))}
        client.create_run(run.info.experiment_id, run.info.start_time, tags, run.info.run_name)
    mirror = tracking.Mirror(uri)
    mirror.sync()
    assert state(runs) == before
    mirrored.assert_mirrored(client, uri)
    (parent,) = (r for r in found(runs) if r.data.tags["irnas.kind"] == "search")
    assert len(parent.inputs.dataset_inputs) == 1


class Slow(BaseHTTPRequestHandler):
    """Takes a request and does not answer."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        time.sleep(3)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_no_request_is_sent_twice(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own retries would create a run again that a slow server has only not confirmed yet."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with pytest.raises(Exception, match="timed out"):
            tracking.Mirror(small(runs), f"http://127.0.0.1:{server.server_address[1]}").sync()
        server.shutdown()
    assert len(Slow.asked) == 1


def test_a_search_is_in_haste_and_a_rebuild_is_patient(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, seen = small(runs), list[str]()
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setattr(tracking, "_WAITS_S", (0.0, 0.0))

    def failing(self: Any, *_: Any) -> None:
        seen.append(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])
        if len(seen) < 4:
            raise ConnectionError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(tracking.Mirror, "_look_up", failing)
        with pytest.raises(ConnectionError):
            tracking.Mirror(uri).sync()
        assert seen == ["5"]
        seen.clear()
        with pytest.raises(ServiceError, match="not now"):
            tracking.rebuild(uri)
        assert seen == ["120"] * 3
    assert tracking.rebuild(uri)[1] == 5 and len(state(runs)) == 6
    tracking.set_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"


def test_a_deleted_experiment_is_named(runs: Path) -> None:
    uri = small(runs)
    tracking.rebuild(uri)
    (experiment,) = (e for e in client_of(runs).search_experiments() if e.name == tracking.EXPERIMENT)
    client_of(runs).delete_experiment(experiment.experiment_id)
    with pytest.raises(SettingsError, match=r"'irnas': got one that was deleted; must be restored"):
        tracking.rebuild(uri)


def test_two_searches_share_a_store(runs: Path) -> None:
    one, two = small(runs), small(runs, "two", data_name="other")
    tracking.Mirror(one).sync()
    alone = state(runs)
    tracking.Mirror(two).sync()
    both = state(runs)
    assert len(both) == 2 * len(alone) == 12
    assert {key: both[key] for key in alone} == alone


def test_the_files_of_the_run_are_kept_with_it(runs: Path) -> None:
    uri = small(runs)
    (runs / "one" / "report.html").write_text("<p>first")
    mirror = tracking.Mirror(uri)
    mirror.sync()
    (runs / "one" / "report.html").write_text("<p>second")
    mirror.sync()
    (parent,) = (r for r in found(runs) if r.data.tags["irnas.kind"] == "search")
    assert sorted(f.path for f in client_of(runs).list_artifacts(parent.info.run_id)) == [
        "report.html",
        "results.parquet",
    ]
    (kept,) = (runs / database.ARTIFACT_FOLDER).glob("*/artifacts/report.html")
    assert kept.read_text() == "<p>second"


def test_a_long_text_is_cut(runs: Path) -> None:
    def fail(writer: Writer) -> None:
        genotype = writer.space.complete({"width": 32, "depth": 3, "binarizer": "sign"})
        writer.finish(writer.propose(genotype), genotype, Status.FAILED, {}, 0, "x" * 20_000)

    tracking.Mirror(small(runs, trials=1, then=fail)).sync()
    (run,) = (r for r in found(runs) if r.data.tags.get("irnas.error", "").startswith("xx"))
    assert run.data.tags["irnas.error"].endswith("x...")


def test_where_the_store_is(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"sqlite:///{runs / database.DATABASE}"
    assert database.default_uri(str(runs / "one")) == here
    assert database.default_uri(f"file://{runs / 'one'}") == here
    assert tracking.Mirror(str(runs / "one")).tracking_uri == here
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking.Mirror(str(runs / "one")).tracking_uri == "http://127.0.0.1:1"


def closed_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def test_a_dead_server_costs_a_warning_and_nothing_else(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri, stop, told = small(runs), threading.Event(), list[str]()

    def warn(text: str) -> None:
        told.append(text)
        stop.set()

    tracking.follow(uri, stop, interval_s=0.01, warn=warn)
    assert len(told) == 1
    assert f"irnas track rebuild {uri}" in told[0]
    assert "\n" not in told[0]


def test_a_server_that_never_answers_ends_the_same_way(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, stop, told = small(runs), threading.Event(), list[str]()
    stop.set()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        tracking.follow(uri, stop, warn=told.append)
    assert len(told) == 1


def test_rebuild_says_so_when_the_server_is_dead(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_WAITS_S", (0.0, 0.0))
    with pytest.raises(ServiceError, match="MLflow at http://127"):
        tracking.rebuild(small(runs), f"http://127.0.0.1:{closed_port()}")


class Refusing(BaseHTTPRequestHandler):
    """A server that answers every request with one status."""

    status = 403

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("status", "kind"), [(403, SettingsError), (404, SettingsError), (503, ServiceError)])
def test_a_server_that_refuses_is_no_service_error(
    status: int, kind: type[Exception], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_WAITS_S", ())
    monkeypatch.setattr(Refusing, "status", status)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with pytest.raises(kind, match="MLflow at http://127") as raised:
            tracking.rebuild(small(runs), f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert type(raised.value) is kind


def test_a_local_store_that_cannot_be_written_is_a_mistake() -> None:
    """MLflow calls a database that it cannot open temporarily unavailable."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

    error = MlflowException("unable to open database file", TEMPORARILY_UNAVAILABLE)
    local, remote = (as_irnas_error(error, uri, "one") for uri in ("sqlite:///a.db", "postgresql://me:pw@host/a"))
    assert type(local) is SettingsError and type(remote) is ServiceError
    assert str(remote) == "MLflow at postgresql://host/a: got unable to open database file; must be one"


def test_following_ends_with_everything_mirrored(runs: Path) -> None:
    uri, stop, told = small(runs), threading.Event(), list[str]()
    stop.set()
    tracking.follow(uri, stop, warn=told.append)
    assert not told
    assert len(state(runs)) == 6


def test_following_goes_on_until_it_is_stopped_and_syncs_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, syncs, told = threading.Event(), list[bool](), list[str]()

    class Counted:
        def __init__(self, uri: str, **_: object) -> None:
            self.uri = uri

        def sync(self) -> None:
            syncs.append(stop.is_set())
            if len(syncs) == 2:
                raise OSError("once")
            if len(syncs) == 4:
                stop.set()

        def watch(self) -> None:
            """Nothing, as by default."""

    monkeypatch.setattr(tracking, "Mirror", Counted)
    tracking.follow("runs/one", stop, interval_s=0.001, warn=told.append)
    assert syncs == [False, False, False, False, True]
    assert ["got once; the search goes on" in told[0], *told[1:]] == [
        True,
        "MLflow: answers again, and holds all of the record",
    ]


def test_mlflow_is_loaded_before_the_thread_that_follows(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(tracking, "load_mlflow", lambda: done.append("loaded"))
    monkeypatch.setattr(tracking, "follow", lambda *_, **__: done.append("followed"))
    with execution.mirrored(str(runs / "one"), lambda text: None):
        pass
    assert done == ["loaded", "followed"]


def test_following_survives_a_run_that_is_not_there_yet(runs: Path) -> None:
    stop, told = threading.Event(), list[str]()
    stop.set()
    tracking.follow(str(runs / "nowhere"), stop, warn=told.append)
    assert len(told) == 1
    assert not (runs / "nowhere").exists()


def test_a_second_mirror_waits_its_turn(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = small(runs)
    monkeypatch.setattr(lock, "MAX_MIRROR_WAIT_S", 0.0)
    with lock.hold_mirror(uri), pytest.raises(SettingsError, match="second mirror"):
        tracking.Mirror(uri).sync()
    tracking.Mirror(uri).sync()


def test_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        monkeypatch.delenv(name, raising=False)
    tracking.set_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


def test_a_store_lies_in_its_folder_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "a%20b?c#d"
    uri = database.default_uri(str(folder / "run"))
    assert make_url(uri).database == f"{folder / database.DATABASE}"
    assert database.artifact_location(uri) == (folder / database.ARTIFACT_FOLDER).as_uri()
