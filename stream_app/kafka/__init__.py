"""Everything about talking to Kafka: clients, topics, reading as a group, and the embedded broker."""
