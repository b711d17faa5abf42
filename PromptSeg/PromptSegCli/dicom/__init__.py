"""Results as DICOM objects: Segmentation (SEG) and RT Structure Set, both referring to the series of the CT."""
