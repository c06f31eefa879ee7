"""Run the local Kafka until Ctrl-C: `python -m demo.kafka [--port 9092] [--topic NAME[:PARTITIONS]]…`."""

import argparse
import signal
import sys

from demo.jvm import LocalServerError
from demo.kafka.local_kafka import LocalKafka


def main() -> int:
    """Start, print the bootstrap address, wait for Ctrl-C or SIGTERM, stop."""
    parser = argparse.ArgumentParser(prog="python -m demo.kafka", description="Apache Kafka on this machine.")
    parser.add_argument("--port", type=int, default=None, help="port to listen on; a free one by default")
    parser.add_argument("--topic", action="append", default=[], metavar="NAME[:PARTITIONS]", help="topic to create")
    arguments = parser.parse_args()
    try:
        with LocalKafka(port=arguments.port) as kafka:
            for topic in arguments.topic:
                name, _, partitions = topic.partition(":")
                kafka.create_topics(name, partitions=int(partitions or 1))
            print(kafka.bootstrap_servers, flush=True)
            signal.pause()
    except LocalServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
