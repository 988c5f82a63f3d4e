"""A thesis on SchNet and QM9, reproduced, tested and taken further.

The package is a house of rooms. A room imports only from the floors below it, which `make lint` holds
(`[tool.importlinter]` in pyproject.toml). Read `README.md` for the commands and the book for what was found.
"""

import warnings
from pathlib import Path

# ASE asks for the home folder when it is imported, and says no more than that there is none.
try:
    Path.home()
except RuntimeError as error:
    raise ImportError("this user has no home folder, which ASE needs: set the variable HOME to a folder") from error

# SchNetPack 2.2 scripts its activation at import with a call that torch now marks for removal. Every notebook would
# begin with that warning, which its reader can do nothing about.
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
