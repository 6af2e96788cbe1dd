"""Sources: from the address of a source to a local file that a cutter may read."""
