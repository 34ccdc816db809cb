"""Every error that irnas raises on purpose.

IrnasError
 +- SettingsError   a setting, an option or a run folder is not usable   (also ValueError)
 +- SpaceError      a space, a parameter value or a family is wrong      (also ValueError)
 +- DataError       images, masks, splits or shards do not fit           (also ValueError)
 +- StorageError    a run's folder is full or cannot be written          (also OSError)
 +- TrainingError   a trial cannot go on, for example its loss is NaN    (also RuntimeError)
 +- ExportError     a network has no faithful form in the target format  (also ValueError)
 +- FormatError     a file is not what its name says                     (also ValueError)

Messages read "where: got X; must be Y". The command line prints them as one line and exits with 2;
anything else is a bug and keeps its traceback.
"""


class IrnasError(Exception):
    """Base of all errors that a user can cause and can mend."""


class SettingsError(IrnasError, ValueError):
    """A setting, an option or a run folder is not usable."""


class SpaceError(IrnasError, ValueError):
    """A search space, a value in it or a family is wrong."""


class DataError(IrnasError, ValueError):
    """Images, masks, splits or shards do not fit together."""


class StorageError(IrnasError, OSError):
    """A run's folder is full or cannot be written. Ends a search, not a trial: the record stays as it is."""


class TrainingError(IrnasError, RuntimeError):
    """A trial cannot go on."""


class ExportError(IrnasError, ValueError):
    """A network has no faithful form in the target format."""


class FormatError(IrnasError, ValueError):
    """A file is not what its name says it is."""
