"""A prompt from a labelled set: whole volumes of several subjects teach one structure to a frozen backbone."""
