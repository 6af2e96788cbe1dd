"""Cutting: from a source to a verified clip in the store."""
