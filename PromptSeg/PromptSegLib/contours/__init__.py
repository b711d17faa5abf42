"""Contours of drawn slices: interpolated, propagated and fused, without knowing the structure."""
