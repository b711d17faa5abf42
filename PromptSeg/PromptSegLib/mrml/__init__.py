"""MRML nodes and our types, both ways: MRML, VTK and numpy only, so that desktop Slicer and slicer-core run it."""
