"""A thesis on SchNet and QM9, reproduced, tested and taken further.

The package is a house of small rooms. A room imports only from the floors below it; `tests/test_layout.py`
holds that. Read `README.md` for the commands and the book for what was found.
"""

import warnings

# SchNetPack 2.2 scripts its activation at import with a call that torch now marks for removal. Every notebook would
# begin with that warning, which its reader can do nothing about.
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
