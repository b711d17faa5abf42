"""The panel's parts: each a small class that shows one thing, over the logic beside them."""
