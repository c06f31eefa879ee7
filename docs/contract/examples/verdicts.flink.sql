-- Flink SQL on the verdicts topic.  NOT RUN by the project: written from Flink's documentation.
-- Needs the kafka and avro-confluent connectors, and a Schema Registry.
-- Only the columns named here are read; Avro resolves the rest away.

CREATE TABLE verdicts (
  verdict_id   STRING,
  delivery_id  STRING,
  provider     STRING,
  decision     STRING,
  reason       STRING,
  probability  DOUBLE,
  judged_at    TIMESTAMP(3),
  replay       BOOLEAN,
  partition_no INT    METADATA FROM 'partition' VIRTUAL,
  offset_no    BIGINT METADATA FROM 'offset' VIRTUAL,
  arrived_at   AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'lossgate.verdicts',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'verdicts-in-flink',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:8081'
);

-- Each verdict once, whatever is sent or read again.
CREATE TEMPORARY VIEW distinct_verdicts AS
  SELECT verdict_id, delivery_id, provider, decision, reason, probability, judged_at, replay
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
