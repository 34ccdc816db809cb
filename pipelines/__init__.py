"""DVC's stages. Each runs the irnas of the checkout that it stands in: that is the code whose hash its lock names."""

import sys

if "irnas" not in sys.modules:
    # An irnas that was installed with -e from another checkout would come before the working folder.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "_irnas_editable"]
