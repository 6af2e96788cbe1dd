"""Joining: from the clips of a mix to its video."""
