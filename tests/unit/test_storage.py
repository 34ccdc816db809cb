from __future__ import annotations

import pytest

from irnas import storage
from irnas.errors import SettingsError


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        storage.read("s3://planted:sec/ret@bucket/run/ledger.jsonl")
    text = str(refused.value)
    assert "with credentials in it" in text and "bucket" in text
    assert "planted" not in text and "ret@" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://user:pw@example.com:5000: refused", "at http://example.com:5000: refused"),
        ("s3://bucket/run", "s3://bucket/run"),
        ("mail to someone@example.com", "mail to someone@example.com"),
    ],
)
def test_what_is_shown_has_no_password(text: str, shown: str) -> None:
    assert storage.shown(text) == shown
