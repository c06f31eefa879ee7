"""Every Avro schema Lossgate has ever published, as package data.

`catalogue.json` is append-only: it gives each schema the id it carries on the wire
when no Schema Registry is configured.
"""
