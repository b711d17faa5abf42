"""What pip installs beside :mod:`PromptSegLib`, and 3D Slicer does not need."""
