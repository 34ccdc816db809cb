"""Objects on S3, below one prefix of one bucket. The only file that imports boto3.

Every object is written with its SHA-256, which the server compares before it keeps anything. Each request is tried
again after growing waits, and a stream that breaks is taken up where it broke. A server that says no is an error of the
settings (exit 2); one that says nothing, or that it is broken or busy, is a ServiceError (exit 3).

Credentials come from where boto3 finds them: the AWS_* variables, a profile, a role. What a server or a library says in
an error may repeat what it was sent, so messages are made here, from error codes and class names alone.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from irnas.core.errors import DataError, ServiceError, SettingsError
from irnas.storage import hashing, patience
from irnas.storage.retry import doubling, retry

_T = TypeVar("_T")

MAX_OBJECT_BYTES = 5 << 30
"""What S3 takes in one request. Networks of this project are far smaller, so there are no uploads in parts."""

THREADS = 4
"""Requests that may be made at the same time."""

_ATTEMPTS = 6
"""Tries of each request, unless AWS_MAX_ATTEMPTS says otherwise; waits double between them, up to 20 s."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 20.0
_CONNECT_S, _READ_S = 10, 30
_CHUNK_BYTES = 1 << 20
_ABSENT = {"404", "NoSuchKey", "NotFound"}
_BUSY = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"}
"""Codes of a server that will do it later, whatever the status they come with; so will one with a status of 5xx."""
_NO_ANSWER = (NoConnectionError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError, IncompleteReadError)
"""What boto3 raises where nothing, or only a part, came back."""
_EXISTS = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
"""Codes of a server that was to write an object only where there is none: there is one, or another is being written."""
_UNKNOWN_CONDITION = 501
"""Status of a server that does not know such conditions."""
_MAX_CODE = 40
_MIN_SECRET = 8
"""Shorter secrets are those of test servers, and would be found by chance."""


class Place:
    """One prefix of one bucket."""

    def __init__(
        self, uri: str, endpoint_url: str | None, attempts: int | None = None, region: str | None = None
    ) -> None:
        """Find the place; ``attempts`` are the tries of each request, and the region is looked up where it is None."""
        self.uri = uri
        self._bucket, self._prefix = parse(uri)
        endpoint = endpoint_url or _endpoint_of_environment()
        if endpoint:
            self._host = _host(endpoint)
        self._attempts = attempts or _attempts()
        try:
            config = Config(
                retries={"mode": os.environ.get("AWS_RETRY_MODE", "standard"), "total_max_attempts": self._attempts},
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                max_pool_connections=THREADS,
                # Our SHA-256 is always sent and compared; servers other than Amazon's may not know the default CRC64.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Amazon serves each bucket under a name of its own; other servers seldom have such names.
                s3={"addressing_style": "path"} if endpoint else None,
            )
            session = boto3.Session()
            self._client = session.client("s3", endpoint_url=endpoint_url, region_name=region, config=config)
            keys = session.get_credentials()
            frozen = keys.get_frozen_credentials() if keys else None
        except (BotoCoreError, ClientError, ValueError) as error:
            cause = type(error).__name__
            raise SettingsError(
                f"{uri}: got AWS settings with a {cause}; must be variables or a profile that work"
            ) from None
        self._host = _host(self._client.meta.endpoint_url)
        self._secrets = [s for s in (frozen.secret_key, frozen.token) if s and len(s) >= _MIN_SECRET] if frozen else []

    def read(self, key: str) -> bytes | None:
        """The bytes of an object; None where there is none."""

        def read() -> bytes | None:
            answer = self._call("get_object", key)
            return None if answer is None else bytes(answer["Body"].read())

        return self._read_on(read)

    def holds_secret(self, content: bytes) -> bool:
        """Whether the credentials in use are somewhere in the bytes."""
        return any(secret.encode() in content for secret in self._secrets)

    def send(self, key: str, content: bytes) -> bool:
        """Write an object unless the store has it with the same checksum; return whether that was needed."""
        head = self._call("head_object", key, ChecksumMode="ENABLED")
        if head and (head["ContentLength"], head.get("ChecksumSHA256")) == (len(content), _checksum(content)):
            return False
        self.put(key, content)
        return True

    def put(self, key: str, content: bytes) -> None:
        """Write an object; readers see the old or the new one. The server compares the checksum before it keeps it."""
        if len(content) > MAX_OBJECT_BYTES:
            raise SettingsError(f"{self.uri}, {key}: got {len(content)} bytes; must be 5 GiB at most")
        self._call("put_object", key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=_checksum(content))

    def create(self, key: str, content: bytes) -> bool:
        """Write an object where there is none; return False, and leave it, where there is another one.

        The server decides, when the request arrives. An answer that was lost is no reason for False: the object that
        the same call has written before counts as written now.
        """
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _checksum(content)}
        for wait_s in (*doubling(0.2, 5, 2.0), None):
            try:
                self._call("put_object", key, Body=content, IfNoneMatch="*", **checksum)
                return True
            except FileExistsError:
                before = self.read(key)
            # None: another request for it is under way, and may fail.
            if before is not None or wait_s is None:
                break
            time.sleep(wait_s)
        return before == content

    def receive(self, key: str, part: Path, size_bytes: int, count: Callable[[int], None]) -> None:
        """Append to the file ``part`` what it lacks of an object, and call ``count`` with the bytes of each piece.

        Raises:
            DataError: the object is missing or shorter.
            ServiceError: the server does not answer.
        """
        self._read_on(lambda: self._append(key, part, size_bytes, count), lambda: part.stat().st_size)

    def _append(self, key: str, part: Path, size_bytes: int, count: Callable[[int], None]) -> None:
        begin = part.stat().st_size
        if begin >= size_bytes:
            return
        answer = self._call("get_object", key, **({"Range": f"bytes={begin}-"} if begin else {}))
        with part.open("ab") as out:
            while answer and out.tell() < size_bytes:
                chunk = answer["Body"].read(min(_CHUNK_BYTES, size_bytes - out.tell()))
                if not chunk:
                    break
                out.write(chunk)
                count(len(chunk))
            out.flush()
            os.fsync(out.fileno())
            if out.tell() < size_bytes:
                what = "a shorter one" if answer else "no such object"
                raise DataError(f"{self.uri}, {key[:24]}: got {what}; must be published again")

    def _call(self, operation: str, key: str, **more: Any) -> Any:
        """The answer to a request about one object; None where there is no such object."""
        try:
            with patience.report_silence(self.uri.rstrip("/")):
                return getattr(self._client, operation)(Bucket=self._bucket, Key=self._prefix + key, **more)
        except ClientError as error:
            code = str(error.response["Error"].get("Code"))
            if code in _ABSENT:
                return None
            if code in _EXISTS and "IfNoneMatch" in more:
                raise FileExistsError(key) from None
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "no status")
            if "IfNoneMatch" in more and (code == "NotImplemented" or status == _UNKNOWN_CONDITION):
                raise SettingsError(
                    f"{self.uri}: got status {status} from {self._host}; must be a store that can write an object "
                    "only where there is none (If-None-Match)"
                ) from None
            is_busy = code in _BUSY or (isinstance(status, int) and (status >= 500 or status == 429))
            # A server may write anything here; only what looks like a code is repeated.
            code = code if code.isalnum() and len(code) <= _MAX_CODE else "an error"
            got = f"{self.uri}: got {code} ({status}) from {self._host}"
            if is_busy:
                raise ServiceError(f"{got}, {self._attempts} times; must be at work") from None
            raise SettingsError(f"{got}; must be a bucket that is yours to use") from None
        except (BotoCoreError, ValueError) as error:
            raise self._explain(error) from None

    def _read_on(self, call: Callable[[], _T], size: Callable[[], int] = lambda: 0) -> _T:
        """Call until no stream breaks; what breaks before an answer, botocore has tried often enough by itself."""
        waits_s = doubling(_FIRST_WAIT_S, self._attempts - 1, _LONGEST_WAIT_S)
        try:
            return retry(call, waits_s, on=(BotoCoreError,), progress=size)
        except BotoCoreError as error:
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> SettingsError | ServiceError:
        """The error to raise where boto3 had no answer of the server: one of the settings, or of the way to it."""
        cause = type(error).__name__
        if isinstance(error, NoCredentialsError):
            return SettingsError(f"{self.uri}: got no credentials; must be AWS_ACCESS_KEY_ID and its like, or a role")
        if isinstance(error, _NO_ANSWER) and not isinstance(error, SSLError):
            return ServiceError(f"{self.uri}: got {cause} from {self._host}, {self._attempts} times; must be reachable")
        return SettingsError(f"{self.uri}: got {cause} on the way to {self._host}; must be AWS settings that work")


def create(uri: str, content: bytes) -> bool:
    """Write the object at ``s3://bucket/key`` where there is none; False where there is another one.

    Options behind a question mark are those that pyarrow reads: endpoint_override, scheme and region. The request is
    tried once.

    Raises:
        SettingsError: the server says no.
        ServiceError: the server does not answer.
    """
    parts = urlsplit(uri)
    option = dict(parse_qsl(parts.query))
    endpoint = option.get("endpoint_override") or _endpoint_of_environment()
    if endpoint and "://" not in endpoint:
        endpoint = f"{option.get('scheme', 'https')}://{endpoint}"
    place = _place(f"s3://{parts.netloc}", endpoint, option.get("region"))
    return place.create(parts.path.lstrip("/"), content)


@functools.lru_cache(maxsize=8)
def _place(bucket: str, endpoint: str | None, region: str | None) -> Place:
    """A place whose requests are tried once; making one takes longer than a request."""
    return Place(bucket, endpoint, 1, region)


def _endpoint_of_environment() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def parse(uri: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix is empty or ends in a slash.

    Raises:
        SettingsError: another scheme, no bucket, or more in it, such as credentials; the message repeats none of it.
    """
    # Anywhere: with a slash in a secret, what is before the "@" looks like a bucket and a path.
    if "@" in uri or "?" in uri or "#" in uri or ":" in uri.partition("://")[2].partition("/")[0]:
        raise SettingsError(
            "S3 URI: got one with credentials or options in it; must be s3://bucket/prefix (credentials belong in AWS_ "
            "variables, an endpoint in --endpoint-url)"
        )
    match = re.fullmatch(r"s3://([A-Za-z0-9._-]{1,255})(/.*)?", uri)
    if match is None:
        raise SettingsError(f"S3 URI: got {uri!r}; must be like s3://bucket/prefix")
    prefix = (match[2] or "").strip("/")
    return match[1], f"{prefix}/" if prefix else ""


def _host(endpoint: str) -> str:
    """Host and port of an endpoint.

    Raises:
        SettingsError: it is no web address, or there are credentials in it.
    """
    if "@" in endpoint or "?" in endpoint:
        raise SettingsError("endpoint: got one with credentials or options in it; must be like https://s3.example.com")
    match = re.match(r"https?://([A-Za-z0-9.\[\]:_-]+)", endpoint)
    if match is None:
        raise SettingsError(f"endpoint: got {endpoint!r}; must be like https://s3.example.com")
    return match[1]


def _attempts() -> int:
    text = os.environ.get("AWS_MAX_ATTEMPTS", str(_ATTEMPTS))
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"AWS_MAX_ATTEMPTS: got {text!r}; must be a whole number, 1 or more")
    return int(text)


def _checksum(content: bytes) -> str:
    """SHA-256 as S3 writes it."""
    return base64.b64encode(bytes.fromhex(hashing.of_bytes(content))).decode()
