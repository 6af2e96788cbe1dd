"""Contracts: what every topic of clipfold holds, as models, schemas and one registry. No I/O."""
