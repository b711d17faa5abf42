"""Structures: their names, terminology codes and colours."""
