"""The real chest CT that the Python package ``slicerio`` carries, for the demonstration and for trying things out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import InputError
from .io import LabelMap, read_labels, read_volume
from .volume import Volume


def chest_ct() -> tuple[Volume, LabelMap]:
    """A chest CT (34, 128, 128), 3 x 3 x 10 mm, and its reference segmentation with ribs, spine, lungs and tissue.

    Reads files that lie in the installed package; nothing is downloaded, and the package's own code is not run. Raises
    :class:`InputError` if ``slicerio`` is not installed.
    """
    found = importlib.util.find_spec("slicerio")
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise InputError("The sample CT needs the package slicerio, which is not installed", "run pip install slicerio")
    data = Path(folders[0]) / "data"
    volume = read_volume(data / "CTChest4.nrrd")
    return volume, read_labels(data / "Segmentation.seg.nrrd", like=volume.grid)
