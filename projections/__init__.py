"""The log as tables: Kafka -> a private DuckDB file -> a snapshot that anyone may open at any time."""
