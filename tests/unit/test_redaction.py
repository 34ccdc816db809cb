"""Nothing that is printed, recorded or made a name of holds a password: every place for one, in every form."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.main import get_command

from irnas import storage
from irnas.cli import main
from irnas.cli.app import app
from irnas.core import errors, redaction
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.redaction import is_secret_option, redact_credentials

KEY, SECRET = "AKIAPLANTEDPLANTED42", "planted/Secret+Key@0123"
PLANTED = (KEY, "planted", "Secret", "0123")
"""Parts of both: none of them may be left."""

PLACES = {
    # In a URI, ahead of its host.
    "user and password": f"s3://{KEY}:{SECRET}@bucket/run",
    "a password alone": f"redis://:{SECRET}@host:6379",
    "a user alone": f"s3://{KEY}@bucket/run",
    "an @ in the password": "http://me:planted@Secret@0123@host:5000/path",
    "a slash in the password": "http://me:planted/Secret/0123@host:5000",
    "a colon in the password": "http://me:planted:Secret:0123@host",
    "a question mark in the password": "http://me:planted?Secret=0123@host",
    "a hash in the password": "http://me:planted#Secret#0123@host",
    "quotes in the password": "http://me:planted'Secret\"0123@host",
    "a blank in the password": "ray://me:planted Secret 0123@host:10001",
    "a blank ahead": f" s3://{KEY}:{SECRET}@bucket/run",
    "a tab ahead": f"\ts3://{KEY}:{SECRET}@bucket/run",
    "digits first in the password": "http://me:0123planted/Secret@host",
    "percent-encoded": f"http://me:{quote(SECRET, safe='')}@host",
    "a percent-encoded colon and @": "s3://planted%3ASecret0123%40bucket/run",
    "Ray's client": "ray://me:plantedSecret0123@10.0.0.1:10001",
    "a database": "postgresql+psycopg2://me:plantedSecret0123@db.example.com/mlflow",
    "a capital scheme": "S3://AKIAPLANTEDPLANTED42:plantedSecret0123@bucket",
    "a file's scheme": "file://me:plantedSecret0123@host/run",
    # In a URI that is wrong.
    "one slash": f"s3:/{KEY}:{SECRET}@bucket/run",
    "one slash and a key": f"s3:/{KEY}/run",
    "no slash": "s3:me:plantedSecret0123@bucket",
    "no colon": "s3//planted:Secret0123@bucket",
    "three slashes": f"s3:///{KEY}:{SECRET}@bucket",
    "no @": "s3://planted:Secret0123/run",
    "no scheme": "planted:Secret0123@bucket",
    # In its parameters.
    "a key and a secret": f"s3://bucket/run?access_key={KEY}&secret_key={SECRET}&region=eu-west-1",
    "a token": "s3://bucket/run?region=eu&session_token=plantedSecret0123",
    "a signature": "https://host/run?X-Amz-Credential=planted&X-Amz-Signature=Secret0123",
    "a parameter that nobody knows": "s3://bucket/run?planted=1&foo=plantedSecret0123".replace("planted=1&", ""),
    "a blank in a parameter": "s3://bucket/run?secret_key=planted Secret 0123",
    "an endpoint with a password": "s3://bucket?endpoint_override=http%3A%2F%2Fme%3AplantedSecret0123%40host",
    # Around it.
    "in a sentence": f"MLflow at http://me:{SECRET}@host:5000: got no answer; must answer",
    "in quotes, with a blank": "address: got 'ray://me:planted Secret 0123@host' (refused); must be a cluster",
    "two of them": "s3://me:planted@one and http://you:Secret@two",
    "in a list": "['s3://me:plantedSecret0123@one', 's3://two']",
    "under an option": "No such option: --secret-key plantedSecret0123",
    "under an option with =": "--aws-secret-access-key=plantedSecret0123",
    "under a short option": "-password plantedSecret0123",
    "in JSON": '{"secret_key": "plantedSecret0123", "region": "eu"}',
    "in a dictionary": "{'password': 'planted Secret 0123'}",
    "as a variable": "AWS_SECRET_ACCESS_KEY=plantedSecret0123",
    "as a quoted variable": "MLFLOW_TRACKING_PASSWORD='planted Secret 0123'",
    "as a call": "connect(host, password='plantedSecret0123')",
    "in a header": "{'Authorization': 'Basic plantedSecret0123='}",
    "in a line of a header": "Authorization: Bearer plantedSecret0123",
    "a token by its kind": "refused Bearer planted.Secret.0123-abc",
    "a key by its form": f"InvalidAccessKeyId: {KEY} does not exist",
}

HARMLESS = (
    "s3://bucket/run?endpoint_override=127.0.0.1:9000&scheme=http",
    "http://127.0.0.1:5000/#/experiments?workflowType=machine_learning",
    "http://[::1]:8265/api",
    "address: got 'http://head:8265' (refused); must be a running cluster",
    "MLFLOW_TRACKING_URI=http://host:5000 mlflow serve -m models:/biisnet@small",
    "mail to someone@example.com",
    "block:64@128x128",
    "biisnet:LIT10@1x256x256",
    "file:///home/me@work/run",
    "/data/me@work/run",
    "token: got none, or another than that of the cluster",
    "job: got the value of RAY_AUTH_TOKEN in it; must hold no secret",
    "--axis t=4 --trials 8 key=90c1c867f3fc",
    "got key 90c1c867f3fc: tokens=4, password must be set",
)


@pytest.mark.parametrize("place", PLACES)
def test_no_text_keeps_a_secret(place: str) -> None:
    redacted = redact_credentials(PLACES[place], {})
    assert not [part for part in PLANTED if part in redacted], redacted
    assert redact_credentials(redacted, {}) == redacted


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text: str) -> None:
    assert redact_credentials(text, {}) == text


def test_values_of_the_environment_are_hidden_wherever_they_stand() -> None:
    secrets = {
        "MY_TOKEN": "one/two+three",
        "DB_PASSWORD": "swordfish",
        "KEY_FILE": "/home/me/key",
        "RAY_AUTH_MODE": "disabled",
    }
    text = "at one/two+three, one%2Ftwo%2Bthree and swordfish: /home/me/key is disabled"
    assert redact_credentials(text, secrets) == "at ***, *** and ***: /home/me/key is disabled"


@pytest.mark.parametrize("kind", [each for each in vars(errors).values() if isinstance(each, type)])
def test_no_error_holds_a_secret(kind: type[IrnasError]) -> None:
    error = kind(f"run: got 's3://{KEY}:{SECRET}@bucket'; must be without")
    for text in (str(error), repr(error), repr(error.args), str(pickle.loads(pickle.dumps(error)))):
        assert "bucket" in text and not [part for part in PLANTED if part in text], text


def test_no_error_of_a_training_holds_a_secret() -> None:
    from irnas.training import trial

    try:
        raise OSError(f"cannot open s3://{KEY}:{SECRET}@bucket/data")
    except OSError as error:
        text = trial._in_one_line(error)
    assert "bucket/data" in text and not [part for part in PLANTED if part in text]


def said(words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["irnas", *words])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    return main(), out.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        ["search", "--run"],
        ["search", "--dataset"],
        ["search", "--nonsense"],
        ["search", "--address"],
        ["train", "biisnet", "LIT10", "--from"],
        ["front"],
        ["submit", "--address", "http://127.0.0.1:1", "--", "search", "--run"],
    ],
    ids=" ".join,
)
def test_a_command_line_with_a_secret_is_refused_and_leaves_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place, text in PLACES.items():
        for joined in ([*words[:-1], f"{words[-1]}={text}"] if words[-1].startswith("-") else [], [*words, text]):
            if joined:
                code, printed = said(joined, monkeypatch)
                assert code == 2 and len(printed.splitlines()) == 1, (place, printed)
                assert not [part for part in PLANTED if part in printed], (place, printed)
    assert not list(tmp_path.iterdir())


def test_an_option_for_a_secret_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["--secret-key", "swordfish"], ["--password=swordfish"], ["--api_key", "swordfish"]):
        code, printed = said(["search", *words], monkeypatch)
        assert code == 2 and "got an option for a secret" in printed and "swordfish" not in printed


def test_a_value_of_the_environment_is_refused_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_PASSWORD", "swordfish")
    code, printed = said(["search", "--run", "runs/swordfish-1"], monkeypatch)
    assert (
        code == 2 and printed.startswith("irnas: run: got 'runs/***-1' with credentials") and "swordfish" not in printed
    )


def test_no_option_of_ours_is_for_a_secret() -> None:
    def walk(command: object) -> list[str]:
        options = [o for p in getattr(command, "params", []) for o in p.opts]
        return options + [o for child in getattr(command, "commands", {}).values() for o in walk(child)]

    options = walk(get_command(app))
    assert len(options) > 100 and not [o for o in options if is_secret_option(o.lstrip("-"))]


@pytest.mark.parametrize("uri", ["s3:/bucket/run", "http:/host", "file:/home/me"])
def test_a_uri_with_one_slash_is_no_folder(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"^run: got \w+: with one slash; must be a folder, or a URI like s3://"):
        storage.local(uri)


def test_a_bug_s_traceback_holds_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError(f"at s3://{KEY}:{SECRET}@bucket")

    monkeypatch.setattr("irnas.cli.app.app", fail)
    monkeypatch.setattr(sys, "argv", ["irnas"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(ZeroDivisionError) as caught:
        main()
    sys.excepthook(caught.type, caught.value, caught.tb)
    printed = capsys.readouterr().err
    assert "Traceback" in printed and "bucket" in printed and not [part for part in PLANTED if part in printed]


def test_there_are_forty_places() -> None:
    assert len(PLACES) >= 40 and redaction.HIDDEN not in "".join(PLACES.values())
