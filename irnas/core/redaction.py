"""One redaction for every text that others may read: messages, records, pages, names of folders.

A password in a URI is removed with its user; the value of whatever is called a secret becomes ``***``, and so does each
value of this process's environment that is called one. Rather too much goes than too little.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

HIDDEN = "***"

_MOST = 20_000
"""Characters of a text that are kept."""

_SECRET_VARIABLE = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
_MIN_SECRET = 8  # characters; a shorter value, such as "disabled" minus a letter, would be found by chance
_WORDS_OF_MODES = {"RAY_AUTH_MODE"}

_NAME = (
    r"[\w.\-]{0,40}(?:secret|token(?!s)|passw(?:or)?d|passphrase|pwd|credential"
    r"|(?:access|api|private|signing|account)[_\-]?key|signature)[\w.\-]{0,40}"
)
"""What an option, a parameter or a field is called whose value nobody may read; a key alone is that of a genotype."""

_HARMLESS = frozenset(
    "region scheme endpoint_override allow_bucket_creation allow_bucket_deletion allow_delayed_open tls_ca_file_path "
    "background_writes connect_timeout request_timeout force_virtual_addressing workflowType".split()
)
"""Parameters of a URI whose values may be read; that of any other is hidden."""

_PORT = r"\d{1,5}(?![^\s/?#,;:)\]}'\"&])"
_USER_AND_PASSWORD = rf"[^\s/@:?#'\"\[\]]*:(?!\s|{_PORT})"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A URI alone may hold blanks, and a password whatever it likes, up to the last @.
    (re.compile(r"\A(\s*[A-Za-z][\w+.\-]*://)(?!/)[^\n]*(?:@|%40)", re.IGNORECASE), r"\1"),
    (re.compile(rf"(:/+|//){_USER_AND_PASSWORD}[^\n]*@"), r"\1"),
    (re.compile(r"(://)(?!/)\S*(?:@|%40)"), r"\1"),
    # Somebody forgot the @, the slashes, or the scheme.
    (re.compile(rf"(?<!file)(:/+){_USER_AND_PASSWORD}[^\s/@'\",;)]+"), rf"\1{HIDDEN}"),
    # A size behind the @ is that of a map: block:64@128x128.
    (re.compile(r"(?<![\w/])(?!(?:models|runs|file):/)[\w.+%~=\-]{1,80}:[^\s@'\"]+@(?!\d+x\d)(?=[\w\[])"), ""),
    (re.compile(r"(authorization['\"]?\s*[:=]\s*+['\"]?+)(?!\*)[^\n'\"]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer\s+)[\w.~+/=\-]{16,}"), rf"\1{HIDDEN}"),
    (re.compile(rf"(['\"]{_NAME}['\"]\s*:\s*)(?:'[^'\n]*'|\"[^\"\n]*\")", re.IGNORECASE), rf"\1'{HIDDEN}'"),
    (re.compile(rf"((?<!\w)--?{_NAME}(?:\s+|=))(?!-)[^\s'\"]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(\b{_NAME}\s*=\s*)(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s,;&'\")]+)", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), HIDDEN),
)
_QUERY = re.compile(r"(:/+[^\s?'\"]*\?)([^'\"\n]*)")


def redact_credentials(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a URI, or a text of any kind, without what nobody may read.

    Args:
        text: what is to be shown or kept.
        environment: variables whose values are hidden where they are called secrets; None for those of this process.
    """
    for secret in known_secrets(os.environ if environment is None else environment):
        text = text.replace(secret, HIDDEN)
    if len(text) > _MOST:
        # Patterns take the square of a text's length; nobody reads so much of one.
        text = text[:_MOST] + " ..."
    # Ahead of the rest: an @ may be that of a parameter's value.
    text = _QUERY.sub(lambda match: match[1] + "&".join(_redact_parameter(p) for p in match[2].split("&")), text)
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a variable of that name probably holds what nobody may read."""
    return bool(_SECRET_VARIABLE.search(name)) and name not in _WORDS_OF_MODES


def is_secret_option(name: str) -> bool:
    """Whether an option of that name, such as ``--secret-key``, would hold what nobody may read."""
    return bool(re.fullmatch(_NAME, name, re.IGNORECASE))


def known_secrets(environment: Mapping[str, str]) -> list[str]:
    """Values of an environment that nobody may read, as they are and as they are written in a URI; longest first."""
    values = {
        value
        for name, value in environment.items()
        # Paths are where secrets lie.
        if is_secret_name(name) and len(value) >= _MIN_SECRET and not value.startswith("/")
    }
    return sorted(values | {quote(value, safe="") for value in values}, key=len, reverse=True)


def _redact_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals or not value or (name in _HARMLESS and "@" not in unquote(value)):
        return part
    if re.fullmatch(rf"{_NAME}|key|sig|auth", name, re.IGNORECASE):
        return f"{name}={HIDDEN}"
    # A text may go on behind it.
    return f"{name}={HIDDEN}" + re.sub(r"\A\S*", "", value)
