"""A Schema Registry with Confluent's API on this machine, for the tests."""
