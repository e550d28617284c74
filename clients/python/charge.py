"""A driver's charge, from the list of charge points to the ticket, over gRPC and Kafka.

People read stderr; the last line on stdout is one JSON object with what came of it.
"""

import argparse
import contextlib
import json
import pathlib
import sys
import time
import uuid

import grpc
from confluent_kafka import Consumer, KafkaException, TopicPartition
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from evmesh.driver.v1 import driver_service_pb2 as driver
from evmesh.driver.v1.driver_service_pb2_grpc import DriverServiceStub
from evmesh.network.v1 import session_pb2 as network

CALL_TIMEOUT_S = 10  # central itself waits 5 s for a charge point's answer
KAFKA_TIMEOUT_S = 30  # a ticket follows its session at once, a broadcast comes every 5 s
RETRY_S = 1  # before a stream that broke is opened again
PAGE_SIZE = 3  # so that a small network has several pages; up to 500
NOTIFICATIONS, NETWORK_STATUS = "driver_notifications", "network_status"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def channel_to(central: str, identity: str | None) -> grpc.Channel:
    """In plain text, or with an identity: a folder of who calls, by a certificate or by a token, and whom it believes."""
    if identity is None:
        return grpc.insecure_channel(central)
    folder = pathlib.Path(identity)
    core = (folder / "core.pem").read_bytes()
    if not (folder / "certificate.pem").exists():
        token = grpc.access_token_call_credentials((folder / "token").read_text().strip())
        return grpc.secure_channel(central, grpc.composite_channel_credentials(grpc.ssl_channel_credentials(core), token))
    key, certificate = ((folder / name).read_bytes() for name in ("key.pem", "certificate.pem"))
    return grpc.secure_channel(central, grpc.ssl_channel_credentials(core, key, certificate))


def charge_points(central: DriverServiceStub) -> list[str]:
    """The ids of every charge point, page by page."""
    ids, token = [], ""
    while True:
        request = driver.ListChargePointsRequest(page_size=PAGE_SIZE, page_token=token)
        page = central.ListChargePoints(request, timeout=CALL_TIMEOUT_S)
        for point in page.charge_points:
            price = point.price
            say(f"{point.charge_point_id}: {point.location}, {price.micros_per_kwh / 1e6} {price.currency_code} a kWh")
            ids.append(point.charge_point_id)
        token = page.next_page_token
        if not token:
            return ids


def reason(error: grpc.RpcError) -> str | None:
    """Why central refused, as a word for programs; None if the error is not one of evmesh's."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == "evmesh":
            return info.reason
    return None


def denied(central: DriverServiceStub, driver_id: str, request_id: str) -> str | None:
    """Asks for a charge point that is not there, and gives the denial's reason."""
    request = driver.RequestChargeRequest(driver_id=driver_id, charge_point_id="NOWHERE-99", request_id=request_id)
    try:
        central.RequestCharge(request, timeout=CALL_TIMEOUT_S)
    except grpc.RpcError as error:
        if reason(error) is None:
            raise
        say(f"denied: {error.details()}")
        return reason(error)
    return None


def request_charge(central: DriverServiceStub, options: argparse.Namespace) -> tuple[network.Session, bool]:
    """The session, and whether a repeat gave the same one: a request with an id may be repeated without harm."""
    request = driver.RequestChargeRequest(
        driver_id=options.driver,
        charge_point_id=options.charge_point,
        location_prefix=options.place,
        request_id=str(uuid.uuid4()),
    )
    session = central.RequestCharge(request, timeout=CALL_TIMEOUT_S).session
    repeated = central.RequestCharge(request, timeout=CALL_TIMEOUT_S).session
    say(f"reserved: {session.charge_point_id}, session {session.session_id}")
    return session, repeated.session_id == session.session_id


def follow(central: DriverServiceStub, session: network.Session) -> network.Session:
    """Shows the session live, until it is settled. No timeout: a charge takes as long as it takes. A stream that breaks, for
    central restarts or a proxy cuts it, is opened again: it begins with the session as it is by then."""
    request = driver.WatchSessionRequest(driver_id=session.driver_id, session_id=session.session_id)
    said = False
    while not session.settled:
        try:
            for update in central.WatchSession(request):
                session = update.session
                state = network.SessionState.Name(session.state).removeprefix("SESSION_STATE_")
                amount = session.amount
                say(f"{state}: {session.energy_wh / 1e3:.3f} kWh, {amount.micros / 1e6:.2f} {amount.currency_code}")
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise
            if not said:
                said = True
                say(f"the stream broke, and is opened again: {error.details()}")
        if not session.settled:
            time.sleep(RETRY_S)
    return session


def consumer_from_now(kafka: str, prefix: str) -> Consumer:
    """Reads both topics from here on. It joins no group, though librdkafka wants a name for one: in a shared group,
    drivers would take each other's messages."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"charge-{uuid.uuid4()}", "enable.auto.commit": False})
    ends = []
    for name in (prefix + NOTIFICATIONS, prefix + NETWORK_STATUS):
        topic = consumer.list_topics(name, timeout=KAFKA_TIMEOUT_S).topics[name]
        if topic.error:
            raise KafkaException(topic.error)  # it is not there: central creates it when it first reaches Kafka
        for number in topic.partitions:
            # Asked for now; "from the end" alone would be asked for at the first poll.
            _, end = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=KAFKA_TIMEOUT_S)
            ends.append(TopicPartition(name, number, end))
    consumer.assign(ends)
    return consumer


def read_topics(consumer: Consumer, denied_id: str, session: network.Session) -> tuple[dict, list[str]]:
    """What the driver was told: of the denied request, and of this session to its end. And one whole broadcast of the
    network."""
    last_type = "TICKET" if session.HasField("ticket") else "SUPPLY_ERROR"  # nothing was supplied, so none is due
    told = {"denial": None, "auth_ok": False, "updates": False, "ticket": None}
    ended, last_seq, broadcast, parts, ids = False, -1, None, {}, None  # AUTH_OK has seq 0
    deadline = time.monotonic() + KAFKA_TIMEOUT_S
    while not ended or ids is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {last_type}, or no broadcast, within {KAFKA_TIMEOUT_S} s")
        record = consumer.poll(0.5)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        message = json.loads(record.value())
        if record.topic().endswith(NETWORK_STATUS):
            # A large network's broadcast comes in parts; a small one's is a single message without these fields.
            if message.get("broadcast_id") != broadcast:
                broadcast, parts = message.get("broadcast_id"), {}
            parts[message.get("part", 1)] = [point["id"] for point in message["cps"]]
            if len(parts) == message.get("parts", 1):
                ids = sorted(id for part in parts.values() for id in part)
        elif record.key() != session.driver_id.encode():
            continue  # another driver's
        elif message["type"] == "AUTH_DENIED" and message.get("request_id") == denied_id:
            told["denial"] = message["code"]  # the reason of the call's ErrorInfo
        elif message.get("session_id") == session.session_id and message.get("seq", last_seq + 1) > last_seq:
            # No repeat. A reading that nobody has answered for yet has no number.
            last_seq, ended = message.get("seq", last_seq), message["type"] == last_type
            match message["type"]:
                case "AUTH_OK":
                    told["auth_ok"] = True
                case "CONSUMO_UPDATE":
                    told["updates"] = True
                case "SUPPLY_ERROR":
                    say(f"the supply failed: {message['code']}: {message['reason']}")
                case "TICKET":
                    told["ticket"] = {field: message[field] for field in ("energy_wh", "amount_micros", "currency")}
    return told, ids


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--central", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--identity", metavar="DIR", help="the driver's; without it, plain text")
    parser.add_argument("--kafka", default="127.0.0.1:9092", metavar="HOST:PORT")
    parser.add_argument("--topic-prefix", default="", metavar="TEXT", help="that of the network, before its topics' names")
    parser.add_argument("--driver", default="101", metavar="ID", help="who charges")
    parser.add_argument("--charge-point", default="", metavar="ID", help="where; without it, central chooses")
    parser.add_argument("--place", default="", metavar="PREFIX", help="central chooses among places that start so")
    options = parser.parse_args()

    try:
        with (
            channel_to(options.central, options.identity) as channel,
            contextlib.closing(consumer_from_now(options.kafka, options.topic_prefix)) as consumer,
        ):
            central = DriverServiceStub(channel)
            ids = charge_points(central)
            denied_id = str(uuid.uuid4())
            denial = denied(central, options.driver, denied_id)
            session, same_session = request_charge(central, options)
            session = follow(central, session)
            told, broadcast = read_topics(consumer, denied_id, session)
    except grpc.RpcError as error:
        say(f"central at {options.central}: {error.code().name} {reason(error) or ''}: {error.details()}")
        return 1
    except (KafkaException, TimeoutError) as error:
        say(f"kafka at {options.kafka}: {error}")
        return 1

    ticket = session.ticket
    outcome = {
        "charge_points": sorted(ids),
        "denial": denial,
        "same_session": same_session,
        "outcome": network.SessionOutcome.Name(session.outcome).removeprefix("SESSION_OUTCOME_"),
        "ticket": {
            "energy_wh": ticket.energy_wh,
            "amount_micros": ticket.amount.micros,
            "currency": ticket.amount.currency_code,
        },
        "notifications": told,
        "network_status": {"ids": broadcast},
    }
    print(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
