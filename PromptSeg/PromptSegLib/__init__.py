"""PromptSeg: segment CT with a promptable U-Net, and teach it new structures from a few slices.

Importing this package runs nothing and needs nothing but Python: Slicer loads it before torch is there.
"""

__version__ = "0.1.0"
