"""``python -m PromptSegLib.worker``: the same as ``promptseg worker``."""

import sys

from .serve import main

if __name__ == "__main__":
    sys.exit(main())
