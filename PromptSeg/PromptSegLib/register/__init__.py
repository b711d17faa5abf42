"""Registration of two patients' CTs, and what a structure drawn in one says about the other."""
