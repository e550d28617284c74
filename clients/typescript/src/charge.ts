// A driver's charge, from the list of charge points to the ticket, over gRPC and Kafka.
//
// People read stderr; the last line on stdout is one JSON object with what came of it.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";
import { DriverService, RequestChargeRequestSchema } from "../gen/evmesh/driver/v1/driver_service_pb.js";
import { type Session, SessionOutcome, SessionState } from "../gen/evmesh/network/v1/session_pb.js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { TopicReader } from "./topics.js";

const CALL_TIMEOUT_MS = 10_000; // central itself waits 5 s for a charge point's answer
const RETRY_MS = 1_000; // before a stream that broke is opened again
const PAGE_SIZE = 3; // so that a small network has several pages; up to 500

type Central = Client<typeof DriverService>;

const { values: options } = parseArgs({
  options: {
    central: { type: "string", default: "127.0.0.1:50051" },
    identity: { type: "string" }, // the driver's, a folder; without it, plain text
    kafka: { type: "string", default: "127.0.0.1:9092" },
    "topic-prefix": { type: "string", default: "" }, // that of the network, before its topics' names
    driver: { type: "string", default: "101" }, // who charges
    "charge-point": { type: "string", default: "" }, // where; without it, central chooses
    place: { type: "string", default: "" }, // central chooses among places that start so
  },
});

/** The ids of every charge point, page by page. */
async function chargePoints(central: Central): Promise<string[]> {
  const ids: string[] = [];
  let pageToken = "";
  do {
    const page = await central.listChargePoints({ pageSize: PAGE_SIZE, pageToken });
    for (const { chargePointId, location, price } of page.chargePoints) {
      console.error(`${chargePointId}: ${location}, ${Number(price?.microsPerKwh) / 1e6} ${price?.currencyCode} a kWh`);
      ids.push(chargePointId);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return ids.sort();
}

/** Why central refused, as a word for programs; undefined if the error is not one of evmesh's. */
function reason(error: unknown): string | undefined {
  const infos = ConnectError.from(error).findDetails(ErrorInfoSchema);
  return infos.find((info) => info.domain === "evmesh")?.reason;
}

/** Asks for a charge point that is not there, and gives the denial's reason. */
async function denied(central: Central, requestId: string): Promise<string | undefined> {
  try {
    await central.requestCharge({ driverId: options.driver, chargePointId: "NOWHERE-99", requestId });
  } catch (error) {
    const why = reason(error);
    if (why === undefined) throw error;
    console.error(`denied: ${ConnectError.from(error).rawMessage}`);
    return why;
  }
}

/** The session, and whether a repeat gave the same one: a request with an id may be repeated without harm. */
async function requestCharge(central: Central): Promise<{ session: Session; sameSession: boolean }> {
  const request = create(RequestChargeRequestSchema, {
    driverId: options.driver,
    chargePointId: options["charge-point"],
    locationPrefix: options.place,
    requestId: randomUUID(),
  });
  const { session } = await central.requestCharge(request);
  const repeated = await central.requestCharge(request);
  // In TypeScript every message field is optional; an answer always has its session.
  if (session === undefined) throw new Error("central's answer has no session");
  console.error(`reserved: ${session.chargePointId}, session ${session.sessionId}`);
  return { session, sameSession: repeated.session?.sessionId === session.sessionId };
}

/**
 * Shows the session live, until it is settled. No timeout: a charge takes as long as it takes. A stream that breaks, for
 * central restarts or a proxy cuts it, is opened again: it begins with the session as it is by then.
 */
async function follow(central: Central, session: Session): Promise<Session> {
  const { driverId, sessionId } = session;
  for (let said = false; !session.settled; ) {
    try {
      for await (const update of central.watchSession({ driverId, sessionId }, { timeoutMs: 0 })) {
        session = update.session ?? session;
        const kwh = (Number(session.energyWh) / 1e3).toFixed(3);
        const amount = (Number(session.amount?.micros ?? 0n) / 1e6).toFixed(2);
        console.error(`${SessionState[session.state]}: ${kwh} kWh, ${amount} ${session.amount?.currencyCode ?? ""}`);
      }
    } catch (error) {
      if (ConnectError.from(error).code === Code.NotFound) throw error;
      if (!said) console.error(`the stream broke, and is opened again: ${ConnectError.from(error).rawMessage}`);
      said = true;
    }
    if (!session.settled) await setTimeout(RETRY_MS);
  }
  return session;
}

/** In plain text, or with an identity: a folder of who calls, by a certificate or by a token, and whom it believes. */
function connection(): Pick<GrpcTransportOptions, "baseUrl" | "nodeOptions" | "interceptors"> {
  const { central, identity } = options;
  if (identity === undefined) return { baseUrl: `http://${central}` };
  const baseUrl = `https://${central}`;
  const read = (name: string) => readFileSync(join(identity, name), "utf8");
  const ca = read("core.pem");
  if (existsSync(join(identity, "certificate.pem"))) {
    return { baseUrl, nodeOptions: { ca, cert: read("certificate.pem"), key: read("key.pem") } };
  }
  const token = read("token").trim();
  const bearer: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return { baseUrl, nodeOptions: { ca }, interceptors: [bearer] };
}

async function main(): Promise<void> {
  const transport = createGrpcTransport({ ...connection(), defaultTimeoutMs: CALL_TIMEOUT_MS });
  const central = createClient(DriverService, transport);

  const ids = await chargePoints(central);
  const topics = await TopicReader.fromNow(options.kafka, options["topic-prefix"], options.driver);
  try {
    const deniedId = randomUUID();
    const denial = await denied(central, deniedId);
    const { session: reserved, sameSession } = await requestCharge(central);
    const session = await follow(central, reserved);
    const { ticket } = session;
    const notifications = await topics.untilEnd(deniedId, session);
    const networkStatus = await topics.wholeBroadcast();
    const outcome = {
      charge_points: ids,
      denial,
      same_session: sameSession,
      outcome: SessionOutcome[session.outcome],
      ticket: {
        // 64-bit fields are bigints, which JSON does not know; these are far below 2^53.
        energy_wh: Number(ticket?.energyWh),
        amount_micros: Number(ticket?.amount?.micros),
        currency: ticket?.amount?.currencyCode,
      },
      notifications,
      network_status: { ids: networkStatus },
    };
    console.log(JSON.stringify(outcome));
  } finally {
    await topics.close();
  }
}

main().catch((error: unknown) => {
  const why = reason(error);
  console.error(why === undefined ? String(error) : `${why}: ${ConnectError.from(error).rawMessage}`);
  process.exitCode = 1;
});
