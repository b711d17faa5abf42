"""The panel in 3D Slicer and what it stands on; the only part of PromptSeg that knows Qt."""
