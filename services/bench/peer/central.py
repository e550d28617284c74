"""Consumes telemetry as the system before evmesh did: one JSON message at a time, a commit and a notification each.

    central.py KAFKA TELEMETRY NOTIFICATIONS DATABASE MESSAGES

It reads the topic from its beginning, and ends after so many readings with one JSON object on stdout.
"""

import json
import sqlite3
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def opened(path):
    """Write-ahead logging, and each commit on the disk before it returns."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE charging_points (cp_id TEXT PRIMARY KEY, user_id TEXT, kwh REAL, importe REAL, at REAL)"
    )
    return database


def main(kafka, telemetry, notifications, path, wanted):
    database = opened(path)
    producer = KafkaProducer(
        bootstrap_servers=[kafka], value_serializer=lambda value: json.dumps(value).encode("utf-8")
    )
    consumer = KafkaConsumer(bootstrap_servers=[kafka], enable_auto_commit=False)
    partitions = [TopicPartition(telemetry, number) for number in consumer.partitions_for_topic(telemetry)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    done, began, computed = 0, None, 0.0
    while done < wanted:
        message = next(consumer)
        try:
            reading = json.loads(message.value.decode("utf-8"))
        except ValueError:
            continue
        if began is None:
            began, computed = time.monotonic(), time.process_time()
        row = (reading["cp_id"], reading["user_id"], reading["kwh"], reading["importe"], time.time())
        database.execute("INSERT OR REPLACE INTO charging_points VALUES (?, ?, ?, ?, ?)", row)
        database.commit()
        update = {"type": "CONSUMO_UPDATE", **{key: reading[key] for key in ("cp_id", "user_id", "kwh", "importe")}}
        producer.send(notifications, update)
        done += 1
    producer.flush()
    seconds, cpu = time.monotonic() - began, time.process_time() - computed
    print(json.dumps({"messages": done, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
