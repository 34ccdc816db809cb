"""`python -m irnas`, the same as `irnas`."""

import sys

from irnas.cli import main

sys.exit(main())
