"""Prompts: what is learned for one structure, and the files that hold them."""
