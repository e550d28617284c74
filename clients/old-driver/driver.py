"""A driver of the old system, unchanged: kafka-python, the topics, the messages and the loop that it always had.

It asks for one charge after the other by publishing to `driver_requests`, and hears of each on `driver_notifications`.
`evmesh bridge` is what answers it. Each charge is CP=TYPE: the charge point, and the type of message that has to conclude
it. Exit code 1 unless all of them do, and every message has the old system's fields.
"""

import json
import sys
import time

from kafka import KafkaConsumer, KafkaProducer

KAFKA_TOPIC_REQUESTS = "driver_requests"
KAFKA_TOPIC_DRIVER_NOTIFY = "driver_notifications"
KAFKA_TOPIC_NETWORK_STATUS = "network_status"

# What the old system's documents say of each message, field for field.
FIELDS = {
    "AUTH_OK": {"cp_id": str},
    "AUTH_DENIED": {"cp_id": str, "user_id": str, "reason": str},  # it had no such word, and said nothing
    "CONSUMO_UPDATE": {"cp_id": str, "user_id": str, "kwh": float, "importe": float},
    "TICKET": {"cp_id": str, "user_id": str, "kwh": float, "importe": float},
    "SUPPLY_ERROR": {"cp_id": str, "user_id": str, "reason": str, "kwh_partial": float, "importe_partial": float},
    "NETWORK_STATUS_UPDATE": {"cps": list},
}
CONCLUDED_WITHIN_S = 60  # a car is full after five seconds
ASSIGNED_WITHIN_S = 30


def check(message):
    fields = FIELDS[message["type"]]
    wrong = [name for name, kind in fields.items() if not isinstance(message.get(name), kind)]
    for cp in message.get("cps", []):
        wrong += [name for name in ("id", "status", "location") if not isinstance(cp.get(name), str)]
    if wrong:
        sys.exit(f"{wrong} of {message} are not what the old system's are")


def main():
    broker, prefix, user_id, charges = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]

    producer = KafkaProducer(
        bootstrap_servers=[broker],
        value_serializer=lambda v: json.dumps(v).encode("utf-8"),
    )
    consumer = KafkaConsumer(
        prefix + KAFKA_TOPIC_DRIVER_NOTIFY,
        prefix + KAFKA_TOPIC_NETWORK_STATUS,
        bootstrap_servers=[broker],
        auto_offset_reset="latest",
        group_id=f"driver-{user_id}",
        value_deserializer=lambda x: json.loads(x.decode("utf-8")),
        consumer_timeout_ms=CONCLUDED_WITHIN_S * 1000,
    )
    # From its first contact on it hears everything: only then it asks.
    deadline = time.monotonic() + ASSIGNED_WITHIN_S
    while not consumer.assignment():
        consumer.poll(timeout_ms=100)
        if time.monotonic() > deadline:
            sys.exit(f"no partitions within {ASSIGNED_WITHIN_S} s")
    for partition in consumer.assignment():
        consumer.position(partition)

    statuses = 0
    for charge in charges:
        cp_id, wanted = charge.split("=")
        heard = []
        timestamp = time.time() if wanted != "AUTH_DENIED" or cp_id == "NOWHERE" else 1699999999.0
        producer.send(prefix + KAFKA_TOPIC_REQUESTS, {"user_id": user_id, "cp_id": cp_id, "timestamp": timestamp})
        producer.flush()
        deadline = time.monotonic() + CONCLUDED_WITHIN_S
        for record in consumer:
            if time.monotonic() > deadline:
                break
            message = record.value
            check(message)
            if message["type"] == "NETWORK_STATUS_UPDATE":
                statuses += 1
                continue
            if message.get("user_id") != user_id:
                continue  # another driver's
            print(json.dumps(message), flush=True)
            heard.append(message["type"])
            if message["type"] in ("AUTH_DENIED", "TICKET"):
                break
        if wanted not in heard:
            sys.exit(f"{charge}: heard {heard} within {CONCLUDED_WITHIN_S} s")
        if wanted != "AUTH_DENIED" and heard[0] != "AUTH_OK":
            sys.exit(f"{charge}: the first word was {heard[0]}")
        time.sleep(4)  # as ever, between one charge and the next
    if statuses == 0:
        sys.exit("the status of the network was never heard")


if __name__ == "__main__":
    main()
