"""Pre-training: how a backbone comes to be."""
