"""``python -m PromptSegLib.pretrain ARGS`` is ``promptseg pretrain ARGS``.

It is there for ``torchrun``, which starts modules: ``torchrun --nproc-per-node 2 -m PromptSegLib.pretrain ARGS``.
"""

import sys

from ..cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]]))
