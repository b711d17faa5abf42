"""Segment: prompts applied to a volume."""
