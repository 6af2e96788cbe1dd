"""Pure decisions: plan a mix, schedule tasks, fold a mix, roll up its figures. No I/O, no clock, no Kafka."""
