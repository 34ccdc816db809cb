"""Where a run keeps its files: local folders and object stores behind one set of functions, and the lock of a run.

``files`` reads and writes whole files on either; ``lock`` keeps processes of one machine apart; ``object_store`` is S3.
"""

from irnas.core.redaction import redact_credentials
from irnas.storage.files import create, full_disk, is_local, join, local, names, read, remove, write

__all__ = ["create", "full_disk", "is_local", "join", "local", "names", "read", "redact_credentials", "remove", "write"]
