"""Addresses, settings and messages of S3; the transport itself is tested in test_transfer."""

from __future__ import annotations

import os
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.s3 import KEYS, PLANTED

from irnas.core.errors import SettingsError
from irnas.storage import object_store

SECRET = KEYS["AWS_SECRET_ACCESS_KEY"].replace("/", "-")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b", ("b", "")),
        ("s3://b/", ("b", "")),
        ("s3://b/p", ("b", "p/")),
        ("s3://b/p/q/", ("b", "p/q/")),
    ],
)
def test_bucket_and_prefix(uri: str, parts: tuple[str, str]) -> None:
    assert object_store.parse(uri) == parts


@pytest.mark.parametrize("uri", ["", "b/p", "/tmp/run", "s3:///p", "http://b/p", "gs://b", "s3://[b", "s3://b c/p"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"^S3 URI: got .*must be like s3://bucket/prefix$"):
        object_store.parse(uri)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://key:{SECRET}@b/p",
        f"s3://{SECRET}@b",
        f"s3://key:a/{SECRET}@b/p",
        f"s3://key:{SECRET}",
        f"s3://b/p?secret_key={SECRET}",
        f"s3://b/p#{SECRET}",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SettingsError, match="credentials or options") as error:
        object_store.Place(uri, None)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", ["", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"https://key:{SECRET}@s3.example.com"
    if name:
        monkeypatch.setenv(name, address)
    with pytest.raises(SettingsError, match=r"^endpoint: got one with credentials") as error:
        object_store.Place("s3://b/p", None if name else address)
    assert SECRET not in str(error.value)


def test_an_endpoint_of_a_profile_is_looked_at_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(f"[default]\nendpoint_url = https://key:{SECRET}@s3.example.com\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(SettingsError) as error:
        object_store.Place("s3://b/p", None)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("address", ["s3.example.com", "ftp://example.com", "http://", "9000", "http:// a"])
def test_what_is_no_endpoint_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^endpoint: got"):
        object_store.Place("s3://b/p", address)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_MAX_ATTEMPTS", "0"), ("AWS_MAX_ATTEMPTS", "many"), ("AWS_PROFILE", "absent"), ("AWS_RETRY_MODE", "never")],
)
def test_settings_that_cannot_be_used_are_one_line(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        object_store.Place("s3://b/p", None)
    assert "\n" not in str(error.value) and "AWS" in str(error.value)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=r"got no credentials; must be AWS_ACCESS_KEY_ID"):
        object_store.Place("s3://b/p", None).read("k")


def test_an_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://one.example.com")
    assert object_store.Place("s3://b/p", None)._host == "one.example.com"
    assert object_store.Place("s3://b/p", "https://two.example.com:9000")._host == "two.example.com:9000"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert object_store.Place("s3://b/p", None)._host.endswith("amazonaws.com")


def test_only_other_servers_are_asked_by_path() -> None:
    def address(endpoint: str | None) -> str:
        client = object_store.Place("s3://bucket/p", endpoint)._client
        return str(client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}))

    assert address("https://s3.example.com").startswith("https://s3.example.com/bucket/k?")
    assert address(None).startswith("https://bucket.s3")


def test_a_server_s_own_words_are_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a server may hold what it was sent; only a code that looks like one is passed on."""
    place = object_store.Place("s3://b/p", "http://127.0.0.1:9")

    def answer(code: str) -> str:
        def fail(**_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": f"sent {PLANTED}"}}, "GetObject")

        monkeypatch.setattr(place, "_client", type("Client", (), {"get_object": staticmethod(fail)}))
        with pytest.raises(SettingsError) as error:
            place.read("k")
        return str(error.value)

    assert "got AccessDenied (" in answer("AccessDenied")
    for text in (answer("AccessDenied"), answer(f"Bad {PLANTED[1]}"), answer("x" * 99)):
        assert not any(secret in text for secret in PLANTED) and "x" * 99 not in text


def test_a_token_that_breaks_the_request_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """http.client quotes a header it refuses; with a stray line break in a token, that is the token."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", PLANTED[2] + "\nX: y")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", PLANTED[0] + "\nX: y")
    with pytest.raises(SettingsError) as error:
        object_store.Place("s3://b/p", "http://127.0.0.1:9").read("k")
    assert not any(secret in str(error.value) for secret in PLANTED)
    assert error.value.__cause__ is None and error.value.__suppress_context__
