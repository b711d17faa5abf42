"""The module Sample Data's logic, as far as the panel asks for it: it downloads to the cache, checks, and loads."""

from __future__ import annotations

import hashlib
import types
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar


class SampleDataLogic:
    """A source that is named by a ``file:`` address needs no network."""

    sources: ClassVar[dict[str, list[types.SimpleNamespace]]] = {}

    def __init__(self, logMessage: Callable[..., None] | None = None) -> None:
        self.downloadPercent = 0

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom", sampleName: Any = None, uris: Any = None, fileNames: Any = None,
        nodeNames: Any = None, customDownloader: Any = None, thumbnailFileName: Any = None, loadFileTypes: Any = None,
        loadFiles: Any = None, loadFileProperties: Any = None, checksums: Any = None, loadFileType: Any = None,
    ) -> None:  # fmt: skip
        """As of 3D Slicer 5.10; one that is listed already is not listed again."""
        source = types.SimpleNamespace(**{name: value for name, value in locals().items() if name != "category"})
        listed = SampleDataLogic.sources.setdefault(category, [])
        if source not in listed:
            listed.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str) -> list[types.SimpleNamespace]:
        return SampleDataLogic.sources.get(category, [])

    def reportHook(self, blocksSoFar: int, blockSize: int, totalSize: int) -> None:
        self.downloadPercent = min(int(100.0 * blocksSoFar * blockSize / totalSize), 100)

    def downloadFileIntoCache(self, uri: str, name: str, checksum: str = "", forceDownload: bool = False) -> str:
        import slicer

        folder = slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()
        return self.downloadFile(uri, folder, name, checksum, forceDownload)

    def downloadFile(
        self, uri: str, destFolderPath: str, name: str, checksum: str = "", forceDownload: bool = False
    ) -> str:
        path, wanted = Path(destFolderPath, name), checksum.partition(":")[2]
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
            return str(path)
        try:
            urllib.request.urlretrieve(uri, path, self.reportHook)
        except OSError as error:
            raise ValueError(f"Failed to download {uri} to {path}") from error
        if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            path.unlink()
        return str(path)

    def loadNode(self, uri: str, name: str, fileType: Any = None, fileProperties: Any = None) -> Any:
        import slicer

        from PromptSegLib.mrml.nodes import add_volume
        from PromptSegLib.volumes.io import read_volume

        node = add_volume(slicer.mrmlScene, read_volume(uri))
        node.SetName(name)
        return node
