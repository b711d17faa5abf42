"""Tune: a prompt learned from a few drawn slices."""
