"""The thin edges: parse a record, decide, send."""
