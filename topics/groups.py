"""The consumer groups: each is one part of clipfold, however many processes it runs in."""

INTAKE_GROUP = "clipfold-intake"
"""Decides what becomes of requests, from `mix-requests`."""

CUTTER_GROUP = "clipfold-cutter"
"""Cuts clips, from `clip-tasks`."""

ASSEMBLER_GROUP = "clipfold-assembler"
"""Joins clips and song, from `mix-events`."""

KEEPER_GROUP = "clipfold-config"
"""Keeps `render-config` in order."""
