"""Pack data sets into one file that travels to a machine with a GPU.

python -m PromptSegTrain.pack DATASET.json ... -o data.pack --cache DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PromptSegLib.datasets.loading import load_part, read_datasets
from PromptSegLib.datasets.pack import STEPS, write_pack
from PromptSegLib.datasets.provenance import check_derived
from PromptSegLib.inputs_stay import check_outputs

from .tools import share, status_of, whole


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET.json")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.pack")
    parser.add_argument("--cache", required=True, type=Path, metavar="DIR", help="a folder for preprocessed volumes")
    parser.add_argument("--megabytes", type=float, default=60.0)
    parser.add_argument("--every", type=int, choices=STEPS, help="one slice in so many; default: as it fits")
    parser.add_argument("--validation", type=share, default=0.25, help="the share that the run holds out")
    parser.add_argument("--seed", type=whole(0), default=1)
    options = parser.parse_args(arguments)

    def work() -> None:
        check_outputs({"-o": (options.output, (".pack",))}, [(f"'{path}'", path) for path in options.datasets])
        sets = read_datasets(options.datasets)
        parts = [load_part(d, options.validation, options.seed, options.cache) for d in sets]
        check_derived(parts)
        packed = write_pack(parts, options.output, int(options.megabytes * 1e6), every=options.every)
        sys.stdout.writelines(f"{one}\n" for one in packed)

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
