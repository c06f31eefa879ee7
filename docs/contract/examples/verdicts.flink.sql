-- Flink SQL on the verdicts topic.  NOT RUN by the project: written from Flink's documentation.
-- Needs the kafka and avro-confluent connectors, and a Schema Registry.
-- Only the columns named here are read.  The reader's schema is given because the one Flink makes of the columns
-- takes no enums (FLINK-24544); it reads `decision`, and leaves `reason` out for brevity.

CREATE TABLE verdicts (
  verdict_id   STRING NOT NULL,
  delivery_id  STRING NOT NULL,
  provider     STRING NOT NULL,
  decision     STRING NOT NULL,
  detail       STRING NOT NULL,
  probability  DOUBLE,
  judged_at    TIMESTAMP(3) NOT NULL,
  replay       BOOLEAN NOT NULL,
  arrived_at   AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'lossgate.verdicts',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'verdicts-in-flink',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:8081',
  'value.avro-confluent.schema' = '{"type": "record", "name": "Verdict", "namespace": "io.lossgate", "fields": [
    {"name": "verdict_id", "type": "string"},
    {"name": "delivery_id", "type": "string"},
    {"name": "provider", "type": "string"},
    {"name": "decision", "type": {"type": "enum", "name": "Decision", "default": "UNKNOWN",
                                  "symbols": ["UNKNOWN", "ACCEPT", "REJECT", "REVIEW"]}},
    {"name": "detail", "type": "string"},
    {"name": "probability", "type": ["null", "double"]},
    {"name": "judged_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "replay", "type": "boolean"}]}'
);

-- Each verdict once, whatever is sent or read again.
CREATE TEMPORARY VIEW distinct_verdicts AS
  SELECT verdict_id, delivery_id, provider, decision, detail, probability, judged_at, replay
  FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY verdict_id ORDER BY arrived_at) AS copy_no
    FROM verdicts
  )
  WHERE copy_no = 1;

-- Rejections by provider.
SELECT provider, COUNT(*) AS rejected
FROM distinct_verdicts
WHERE decision = 'REJECT' AND NOT replay
GROUP BY provider;
