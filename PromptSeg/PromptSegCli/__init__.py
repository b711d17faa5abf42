"""The command line, and what only it needs: installed by pip, not part of the Slicer module."""
