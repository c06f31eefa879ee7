"""Kafka's edge: intake, order, transactions, wire format."""
