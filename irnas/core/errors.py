"""Every error that irnas raises on purpose.

IrnasError
 +- SettingsError   a setting, an option or a run folder is not usable   (also ValueError)
 +- SpaceError      a space, a parameter value or a family is wrong      (also ValueError)
 +- DataError       images, masks, splits or shards do not fit           (also ValueError)
 +- StorageError    a disk is full, or a folder or store says no         (also OSError)
 +- ServiceError    a store, a server or a cluster does not answer       (also OSError)
 +- TrainingError   a trial cannot go on, for example its loss is NaN    (also RuntimeError)
 +- ExportError     a network has no faithful form in the target format  (also ValueError)
 +- FormatError     a file is not what its name says                     (also ValueError)

Messages read "where: got X; must be Y", and hold no credentials, whatever X is (``irnas.core.redaction``). The command
line prints them as one line. It exits with 2 where the user can mend the command, the settings or the files, and with 3
after a ServiceError, where the same command may succeed later; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from irnas.core.redaction import redact_credentials


class IrnasError(Exception):
    """Base of all errors that a user can understand without reading the code."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(redact_credentials(part) if isinstance(part, str) else part for part in parts))


class SettingsError(IrnasError, ValueError):
    """A setting, an option or a run folder is not usable."""


class SpaceError(IrnasError, ValueError):
    """A search space, a value in it or a family is wrong."""


class DataError(IrnasError, ValueError):
    """Images, masks, splits or shards do not fit together."""


class StorageError(IrnasError, OSError):
    """A disk is full, or a folder or a store may not be written. It ends a search, and the record stays as it is."""


class ServiceError(IrnasError, OSError):
    """A store, a server or a cluster does not answer. It ends a search, which may be resumed when that is mended."""


class TrainingError(IrnasError, RuntimeError):
    """A trial cannot go on."""


class ExportError(IrnasError, ValueError):
    """A network has no faithful form in the target format."""


class FormatError(IrnasError, ValueError):
    """A file is not what its name says it is."""
