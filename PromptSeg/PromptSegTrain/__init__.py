"""Training of what ships: the backbone and the contour fusion network. Not part of the Slicer module."""
