"""A clip file: how it is encoded, written, verified and stored, for whoever makes or joins clips."""
