"""`python -m stream_app.cli` is `clipfold`."""

from stream_app.cli import main

main()
