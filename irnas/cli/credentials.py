"""No command runs with a password among its words: they show in lists of processes, and end up in records and names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from irnas.core.errors import SettingsError
from irnas.core.redaction import is_secret_option, redact_credentials

_OPTION = re.compile(r"--?([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_ONE_SLASH = re.compile(r"\s*(s3|gs|gcs|https?|ray|hdfs|abfss?):/?(?!/)[^/]", re.IGNORECASE)
_INSTEAD = "(they belong in AWS_ variables, a file or a role)"


def require_no_credentials(words: Sequence[str]) -> None:
    """Refuse a command line that holds credentials, in whichever form, before anything is made of it.

    Raises:
        SettingsError: it does; the message repeats the harmless part.
    """
    option = "argument"
    for word in words:
        match = _OPTION.fullmatch(word)
        name, value = (match[1], match[2] or "") if match else ("", word)
        if is_secret_option(name):
            raise SettingsError(f"--{name}: got an option for a secret; must be none {_INSTEAD}")
        where = name or option
        if (redacted := redact_credentials(value)) != value:
            raise SettingsError(f"{where}: got {redacted!r} with credentials in it; must be without {_INSTEAD}")
        if one_slash := _ONE_SLASH.match(value):
            scheme = one_slash[1].lower()
            raise SettingsError(f"{where}: got {scheme}: without two slashes behind it; must be {scheme}://...")
        option = name if name and not value else "argument"
