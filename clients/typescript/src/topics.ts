// A driver's two topics. Consumed by a group of this process's own: in a shared one, drivers would take each other's
// messages.

import { randomUUID } from "node:crypto";
import { type Consumer, Kafka, type KafkaMessage, logLevel } from "kafkajs";
import type { Session } from "../gen/evmesh/network/v1/session_pb.js";

const KAFKA_TIMEOUT_MS = 30_000; // a ticket follows its session at once, a broadcast comes every 5 s
const NOTIFICATIONS = "driver_notifications";
const NETWORK_STATUS = "network_status";

/** A message on driver_notifications, as far as this example reads it. */
interface Notification {
  type: "AUTH_OK" | "AUTH_DENIED" | "CONSUMO_UPDATE" | "TICKET" | "SUPPLY_ERROR";
  session_id?: string;
  request_id?: string;
  seq?: number; // none in a reading that nobody has answered for yet
  code?: string; // why, for programs: the reason of the call's ErrorInfo
  reason?: string; // and for people
  energy_wh?: number;
  amount_micros?: number;
  currency?: string;
}

/** A message on network_status: a broadcast, or a part of a large network's. */
interface NetworkStatus {
  cps: { id: string; status: string; location: string }[];
  broadcast_id?: string;
  part?: number;
  parts?: number;
}

/** What the driver was told of its requests. */
export interface Told {
  denial?: string | undefined;
  auth_ok: boolean;
  updates: boolean;
  ticket?: Pick<Notification, "energy_wh" | "amount_micros" | "currency">;
}

/** What came for the driver, and the last whole broadcast. */
export class TopicReader {
  readonly #notifications: Notification[] = [];
  #broadcastId: string | undefined;
  #parts = new Map<number, string[]>();
  #whole: string[] | undefined;
  #wake: () => void = () => {};

  private constructor(
    private readonly consumer: Consumer,
    private readonly statusTopic: string,
    private readonly driver: string,
  ) {}

  /** Reads both topics from here on. */
  static async fromNow(broker: string, prefix: string, driver: string): Promise<TopicReader> {
    const topics = [prefix + NOTIFICATIONS, prefix + NETWORK_STATUS];
    const kafka = new Kafka({ clientId: "evmesh-charge", brokers: [broker], logLevel: logLevel.NOTHING });
    // Asked for now; "latest" alone would be asked for at the first fetch.
    const admin = kafka.admin();
    const ends = [];
    try {
      await admin.connect();
      for (const topic of topics) {
        for (const { partition, high } of await admin.fetchTopicOffsets(topic)) ends.push({ topic, partition, offset: high });
      }
    } finally {
      await admin.disconnect();
    }

    // Topics are created by central, when it first reaches Kafka.
    const consumer = kafka.consumer({ groupId: `evmesh-charge-${randomUUID()}`, allowAutoTopicCreation: false });
    const reader = new TopicReader(consumer, prefix + NETWORK_STATUS, driver);
    await consumer.connect();
    await consumer.subscribe({ topics });
    await consumer.run({ autoCommit: false, eachMessage: async ({ topic, message }) => reader.#take(topic, message) });
    for (const end of ends) consumer.seek(end);
    return reader;
  }

  /** What the driver was told of the denied request, and of this session to its end. */
  async untilEnd(deniedId: string, { sessionId, ticket }: Session): Promise<Told> {
    const lastType = ticket === undefined ? "SUPPLY_ERROR" : "TICKET"; // no ticket is due where nothing was supplied
    const told: Told = { auth_ok: false, updates: false };
    let lastSeq = -1; // AUTH_OK has seq 0
    for (;;) {
      const message = await this.#next(lastType, () => this.#notifications.shift());
      if (message.type === "AUTH_DENIED" && message.request_id === deniedId) told.denial = message.code;
      if (message.session_id !== sessionId || (message.seq ?? Infinity) <= lastSeq) continue;
      lastSeq = message.seq ?? lastSeq;
      if (message.type === "AUTH_OK") told.auth_ok = true;
      if (message.type === "CONSUMO_UPDATE") told.updates = true;
      if (message.type === "SUPPLY_ERROR") console.error(`the supply failed: ${message.code}: ${message.reason}`);
      if (message.type === "TICKET") {
        const { energy_wh, amount_micros, currency } = message;
        told.ticket = { energy_wh, amount_micros, currency };
      }
      if (message.type === lastType) return told;
    }
  }

  /** The ids of the charge points of one whole broadcast. */
  async wholeBroadcast(): Promise<string[]> {
    return this.#next("broadcast", () => this.#whole);
  }

  async close(): Promise<void> {
    await this.consumer.disconnect();
  }

  #take(topic: string, { key, value }: KafkaMessage): void {
    if (value === null) return;
    if (topic === this.statusTopic) this.#gather(JSON.parse(value.toString()));
    else if (key?.toString() === this.driver) this.#notifications.push(JSON.parse(value.toString()));
    this.#wake();
  }

  /** A large network's broadcast comes in parts; a small one's is a single message without these fields. */
  #gather({ cps, broadcast_id, part = 1, parts = 1 }: NetworkStatus): void {
    if (broadcast_id !== this.#broadcastId) this.#parts.clear();
    this.#broadcastId = broadcast_id;
    this.#parts.set(part, cps.map(({ id }) => id));
    if (this.#parts.size === parts) this.#whole = [...this.#parts.values()].flat().sort();
  }

  /** Waits until there is something to take. */
  async #next<T>(what: string, take: () => T | undefined): Promise<T> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, KAFKA_TIMEOUT_MS);
    try {
      for (;;) {
        const taken = take();
        if (taken !== undefined) return taken;
        if (late) throw new Error(`no ${what} on Kafka within ${KAFKA_TIMEOUT_MS / 1000} s`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
