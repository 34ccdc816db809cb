"""What an error of MLflow means for whoever called irnas: a mistake to mend, or a store that is out of reach.

MLflow raises one exception for both. What tells them apart is the status code that it carries, never its text.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from irnas import storage
from irnas.core.errors import IrnasError, ServiceError, SettingsError

_LOCAL_SCHEMES = ("", "file", "sqlite")


def as_irnas_error(error: Exception, tracking_uri: str, must: str) -> IrnasError:
    """The error to raise instead of one that MLflow raised.

    Args:
        error: what MLflow raised.
        tracking_uri: the store that MLflow was to use; credentials in it are not repeated.
        must: what the store must be, for the message.

    Returns:
        ServiceError where the store is out of reach for now, SettingsError where the same call would fail again.
    """
    kind = ServiceError if is_out_of_reach(error, tracking_uri) else SettingsError
    return kind(f"MLflow at {storage.redact_credentials(tracking_uri)}: got {cause_of(error)}; must be {must}")


def cause_of(error: Exception, length: int = 200) -> str:
    """An error's text on one line, without credentials, at most ``length`` characters; its class where it has none."""
    text = storage.redact_credentials(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= length else text[: length - 3] + "..."


def is_out_of_reach(error: Exception, tracking_uri: str) -> bool:
    """Whether a store does not answer, or answers that it cannot at the moment."""
    from mlflow.exceptions import InvalidUrlException, MlflowException

    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if not isinstance(error, MlflowException) or isinstance(error, InvalidUrlException):
        return False
    code = error.get_http_status_code()
    is_local = urlsplit(tracking_uri).scheme in _LOCAL_SCHEMES
    # Without an answer there is no code, and MLflow says 500.
    return not is_local and bool(code >= 500 or code == 429)
