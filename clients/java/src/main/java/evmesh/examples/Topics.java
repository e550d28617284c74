package evmesh.examples;

import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import evmesh.network.v1.Session;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A driver's two topics, read in no group: in a shared one, drivers would take each other's messages. */
final class Topics implements AutoCloseable {
    private static final Duration TIMEOUT = Duration.ofSeconds(30); // a ticket comes at once, a broadcast every 5 s
    private static final Duration POLL = Duration.ofMillis(500);
    private static final String NOTIFICATIONS = "driver_notifications";
    private static final String NETWORK_STATUS = "network_status";

    private final KafkaConsumer<String, String> consumer;
    private final String statusTopic;
    private final String driver;
    private final Gson gson = new Gson();
    private final Queue<Notification> notifications = new ArrayDeque<>();
    private final Map<Integer, List<ChargePoint>> parts = new TreeMap<>();
    private String broadcastId;
    private List<String> whole;

    /** A message on driver_notifications, as far as this example reads it. */
    private record Notification(
            String type,
            @SerializedName("session_id") String sessionId,
            @SerializedName("request_id") String requestId,
            Long seq, // none in a reading that nobody has answered for yet
            String code, // why, for programs: the reason of the call's ErrorInfo
            String reason, // and for people
            @SerializedName("energy_wh") long energyWh,
            @SerializedName("amount_micros") long amountMicros,
            String currency) {}

    /** A message on network_status: a broadcast, or a part of a large network's. */
    private record NetworkStatus(
            List<ChargePoint> cps, @SerializedName("broadcast_id") String broadcastId, int part, int parts) {}

    private record ChargePoint(String id, String status, String location) {}

    /** What the driver was told of its requests. */
    record Told(String denial, @SerializedName("auth_ok") boolean authOk, boolean updates, Outcome.Ticket ticket) {}

    private Topics(KafkaConsumer<String, String> consumer, String statusTopic, String driver) {
        this.consumer = consumer;
        this.statusTopic = statusTopic;
        this.driver = driver;
    }

    /** Reads both topics from here on. */
    static Topics fromNow(String kafka, String prefix, String driver) {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                Map.of(
                        "bootstrap.servers", kafka,
                        "default.api.timeout.ms", (int) TIMEOUT.toMillis(),
                        "allow.auto.create.topics", false), // central creates them, when it first reaches Kafka
                new StringDeserializer(),
                new StringDeserializer());
        Topics topics = new Topics(consumer, prefix + NETWORK_STATUS, driver);
        try {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : List.of(prefix + NOTIFICATIONS, prefix + NETWORK_STATUS)) {
                List<PartitionInfo> known = consumer.partitionsFor(topic);
                if (known.isEmpty()) {
                    throw new UnknownTopicOrPartitionException("there is no topic " + topic);
                }
                known.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            }
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(consumer::position); // asked for now; without this, at the first poll
            return topics;
        } catch (RuntimeException error) {
            topics.close();
            throw error;
        }
    }

    /** What the driver was told of the denied request, and of this session to its end. */
    Told untilEnd(String deniedId, Session session) throws TimeoutException {
        String lastType = session.hasTicket() ? "TICKET" : "SUPPLY_ERROR"; // none is due where nothing was supplied
        String denial = null;
        Outcome.Ticket ticket = null;
        boolean authOk = false;
        boolean updates = false;
        long lastSeq = -1; // AUTH_OK has seq 0
        while (true) {
            Notification message = next(lastType, notifications::poll);
            if (message.type().equals("AUTH_DENIED") && deniedId.equals(message.requestId())) {
                denial = message.code();
            }
            boolean repeat = message.seq() != null && message.seq() <= lastSeq;
            if (!session.getSessionId().equals(message.sessionId()) || repeat) {
                continue; // another session's, or a repeat
            }
            if (message.seq() != null) {
                lastSeq = message.seq();
            }
            switch (message.type()) {
                case "AUTH_OK" -> authOk = true;
                case "CONSUMO_UPDATE" -> updates = true;
                case "SUPPLY_ERROR" -> System.err.printf("the supply failed: %s: %s%n", message.code(), message.reason());
                case "TICKET" ->
                    ticket = new Outcome.Ticket(message.energyWh(), message.amountMicros(), message.currency());
                default -> {}
            }
            if (message.type().equals(lastType)) {
                return new Told(denial, authOk, updates, ticket);
            }
        }
    }

    /** The ids of the charge points of one whole broadcast. */
    List<String> wholeBroadcast() throws TimeoutException {
        return next("broadcast", () -> whole);
    }

    @Override
    public void close() {
        consumer.close();
    }

    /** Polls until there is something to take. */
    private <T> T next(String what, Supplier<T> take) throws TimeoutException {
        Instant deadline = Instant.now().plus(TIMEOUT);
        while (true) {
            T taken = take.get();
            if (taken != null) {
                return taken;
            }
            if (Instant.now().isAfter(deadline)) {
                throw new TimeoutException("no " + what + " within " + TIMEOUT.toSeconds() + " s");
            }
            for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                if (record.topic().equals(statusTopic)) {
                    gather(gson.fromJson(record.value(), NetworkStatus.class));
                } else if (driver.equals(record.key())) {
                    notifications.add(gson.fromJson(record.value(), Notification.class));
                }
            }
        }
    }

    /** A large network's broadcast comes in parts; a small one's is a single message without these fields. */
    private void gather(NetworkStatus message) {
        if (!Objects.equals(message.broadcastId(), broadcastId)) {
            parts.clear();
        }
        broadcastId = message.broadcastId();
        parts.put(message.part(), message.cps());
        if (parts.size() >= message.parts()) {
            whole = parts.values().stream().flatMap(List::stream).map(ChargePoint::id).sorted().toList();
        }
    }
}
