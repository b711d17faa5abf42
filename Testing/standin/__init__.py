"""A stand-in for 3D Slicer's PythonQt, for tests only: PySide6 over Slicer's own libraries (slicer-core).

It runs the panel's code without the Slicer application: what it shows is how our code behaves with Qt's widgets and
with MRML. PythonQt itself, the Segment Editor's effects and the slice views are not run here; ``Testing/Slicer`` does
that in a real Slicer. ``Testing/slicer_facts.json`` says which names a real Slicer has; others are refused.
"""
