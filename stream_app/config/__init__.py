"""The render config at work: put into force by workers, changed and kept whole by `serve`."""
