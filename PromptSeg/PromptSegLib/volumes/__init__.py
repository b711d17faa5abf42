"""Volumes: reading, writing, and the working grid that the network sees."""
