"""Data sets: annotated volumes read, split, packed and drawn from, for all that learns from whole volumes."""
