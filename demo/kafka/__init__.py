"""A real Apache Kafka on this machine: one JVM, made for the demo and the tests."""
