"""Volumes to try PromptSeg with, in the module Sample Data. Nothing is downloaded until a user clicks one of them."""

from __future__ import annotations

from typing import Any

STORE = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
SAMPLES = {
    "Abdomen CT": ("CTLiver", "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e"),
    "Chest CT": ("CT-chest", "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e"),
}
"""By name: file and checksum, of 3D Slicer's own testing data."""


def register(icon: str) -> None:
    """List the samples, with ``icon`` as their picture; does nothing where there is no Sample Data."""
    try:
        import SampleData
    except ImportError:
        return
    logic: Any = SampleData.SampleDataLogic
    for name, (file, checksum) in SAMPLES.items():
        logic.registerCustomSampleDataSource(
            category="PromptSeg",
            sampleName=name,
            uris=STORE + checksum,
            fileNames=f"{file}.nrrd",
            nodeNames=file,
            checksums=f"SHA256:{checksum}",
            thumbnailFileName=icon,
        )
