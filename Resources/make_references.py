"""Write the open reference CTs that come with PromptSeg, from the CTs that they are made of.

    python Resources/make_references.py chest=CTChest4.nrrd abdomen=s0009.nii.gz neck=s0003.nii.gz

Each becomes ``PromptSeg/Resources/References/NAME.nrrd``: voxels of 3 mm along the patient's axes, 8 bits, cut to the
body. 0 is outside the field of view; 1 to 255 are grey levels of ``PromptSegLib.volumes.preprocess.grey_from_hu``. Only
CTs that anybody may pass on; where they come from stands in ATTRIBUTION.txt beside them.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from PromptSegLib.register.picture import Picture, picture_of
from PromptSegLib.volumes.io import read_volume

FOLDER = Path(__file__).resolve().parent.parent / "PromptSeg" / "Resources" / "References"


def nrrd(picture: Picture) -> bytes:
    """The bytes of a file; the same from the same picture."""
    s, a, r = picture.grey.shape
    up, front, right = (f"{v:.4f}" for v in picture.origin)
    step = f"{picture.spacing:g}"
    header = (
        "NRRD0004",
        "type: uint8",
        "dimension: 3",
        "space: right-anterior-superior",
        f"sizes: {r} {a} {s}",
        f"space directions: ({step},0,0) (0,{step},0) (0,0,{step})",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"space origin: ({right},{front},{up})",
    )
    data = gzip.compress(np.ascontiguousarray(picture.grey).tobytes(), 9, mtime=0)
    return "\n".join(header).encode() + b"\n\n" + data


def main(words: list[str]) -> None:
    """One file for each NAME=CT."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for word in words:
        name, _, path = word.partition("=")
        data = nrrd(picture_of(read_volume(path)))
        (FOLDER / f"{name}.nrrd").write_bytes(data)
        print(f"{name}: {len(data) / 1e3:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
