"""The composition root: what each role is made of, and how its parts run and stop together."""
