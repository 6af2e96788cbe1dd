"""The HTTP API of `clipfold serve`."""
