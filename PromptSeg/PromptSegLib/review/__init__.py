"""Review: how good a segmentation is and where to look."""
