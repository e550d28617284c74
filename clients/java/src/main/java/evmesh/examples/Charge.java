package evmesh.examples;

import com.google.gson.Gson;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import evmesh.driver.v1.DriverServiceGrpc;
import evmesh.driver.v1.DriverServiceGrpc.DriverServiceBlockingStub;
import evmesh.driver.v1.ListChargePointsRequest;
import evmesh.driver.v1.ListChargePointsResponse;
import evmesh.driver.v1.RequestChargeRequest;
import evmesh.driver.v1.WatchSessionRequest;
import evmesh.driver.v1.WatchSessionResponse;
import evmesh.network.v1.ChargePoint;
import evmesh.network.v1.Session;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.KafkaException;

/**
 * A driver's charge, from the list of charge points to the ticket, over gRPC and Kafka.
 *
 * <p>People read stderr; the last line on stdout is one JSON object with what came of it.
 */
public final class Charge {
    private static final int CALL_TIMEOUT_S = 10; // central itself waits 5 s for a charge point's answer
    private static final int RETRY_S = 1; // before a stream that broke is opened again
    private static final int PAGE_SIZE = 3; // so that a small network has several pages; up to 500

    private final DriverServiceBlockingStub central;
    private final Options options;

    private Charge(DriverServiceBlockingStub central, Options options) {
        this.central = central;
        this.options = options;
    }

    public static void main(String[] arguments) throws InterruptedException {
        Options options = Options.parse(arguments);
        ManagedChannel channel = channel(options.central(), options.identity());
        try {
            Outcome outcome = new Charge(DriverServiceGrpc.newBlockingStub(channel), options).run();
            System.out.println(new Gson().toJson(outcome));
        } catch (StatusRuntimeException error) {
            System.err.printf("central at %s: %s %s%n", options.central(), reason(error).orElse(""), error.getMessage());
            System.exit(1);
        } catch (KafkaException | TimeoutException error) {
            System.err.printf("kafka at %s: %s%n", options.kafka(), error.getMessage());
            System.exit(1);
        } finally {
            channel.shutdownNow().awaitTermination(CALL_TIMEOUT_S, TimeUnit.SECONDS);
        }
    }

    /** In plain text, or with an identity: a folder of who calls, by a certificate or by a token, and whom it believes. */
    private static ManagedChannel channel(String central, String identity) {
        if (identity.isEmpty()) {
            return Grpc.newChannelBuilder(central, InsecureChannelCredentials.create()).build();
        }
        try {
            TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(new File(identity, "core.pem"));
            File certificate = new File(identity, "certificate.pem");
            if (certificate.exists()) {
                tls.keyManager(certificate, new File(identity, "key.pem"));
                return Grpc.newChannelBuilder(central, tls.build()).build();
            }
            String token = Files.readString(Path.of(identity, "token")).strip();
            Metadata bearer = new Metadata();
            bearer.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
            return Grpc.newChannelBuilder(central, tls.build())
                    .intercept(MetadataUtils.newAttachHeadersInterceptor(bearer))
                    .build();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private Outcome run() throws TimeoutException, InterruptedException {
        List<String> chargePoints = chargePoints();
        try (Topics topics = Topics.fromNow(options.kafka(), options.topicPrefix(), options.driver())) {
            String deniedId = UUID.randomUUID().toString();
            String denial = denied(deniedId).orElse(null);
            RequestChargeRequest request = RequestChargeRequest.newBuilder()
                    .setDriverId(options.driver())
                    .setChargePointId(options.chargePoint())
                    .setLocationPrefix(options.place())
                    .setRequestId(UUID.randomUUID().toString())
                    .build();
            Session reserved = withTimeout().requestCharge(request).getSession();
            // A request with an id may be repeated without harm: it gets the same session, as that is by then.
            Session repeated = withTimeout().requestCharge(request).getSession();
            System.err.printf("reserved: %s, session %s%n", reserved.getChargePointId(), reserved.getSessionId());

            Session session = follow(reserved);
            Topics.Told told = topics.untilEnd(deniedId, session);
            return new Outcome(
                    chargePoints,
                    denial,
                    repeated.getSessionId().equals(reserved.getSessionId()),
                    session.getOutcome().name().replaceFirst("^SESSION_OUTCOME_", ""),
                    Outcome.Ticket.of(session.getTicket()),
                    told,
                    Map.of("ids", topics.wholeBroadcast()));
        }
    }

    /** A deadline is for one call: it is counted from here on. */
    private DriverServiceBlockingStub withTimeout() {
        return central.withDeadlineAfter(CALL_TIMEOUT_S, TimeUnit.SECONDS);
    }

    /** The ids of every charge point, page by page. */
    private List<String> chargePoints() {
        List<String> ids = new ArrayList<>();
        ListChargePointsRequest.Builder request = ListChargePointsRequest.newBuilder().setPageSize(PAGE_SIZE);
        ListChargePointsResponse page;
        do {
            page = withTimeout().listChargePoints(request.build());
            for (ChargePoint point : page.getChargePointsList()) {
                String price = point.getPrice().getMicrosPerKwh() / 1e6 + " " + point.getPrice().getCurrencyCode();
                System.err.printf("%s: %s, %s a kWh%n", point.getChargePointId(), point.getLocation(), price);
                ids.add(point.getChargePointId());
            }
            request.setPageToken(page.getNextPageToken());
        } while (!page.getNextPageToken().isEmpty());
        Collections.sort(ids);
        return ids;
    }

    /** Asks for a charge point that is not there, and gives the denial's reason. */
    private Optional<String> denied(String requestId) {
        RequestChargeRequest request = RequestChargeRequest.newBuilder()
                .setDriverId(options.driver())
                .setChargePointId("NOWHERE-99")
                .setRequestId(requestId)
                .build();
        try {
            withTimeout().requestCharge(request);
            return Optional.empty();
        } catch (StatusRuntimeException error) {
            String reason = reason(error).orElseThrow(() -> error);
            System.err.printf("denied: %s%n", error.getStatus().getDescription());
            return Optional.of(reason);
        }
    }

    /** Why central refused, as a word for programs; empty if the error is not one of evmesh's. */
    private static Optional<String> reason(StatusRuntimeException error) {
        com.google.rpc.Status status = StatusProto.fromThrowable(error);
        if (status == null) {
            return Optional.empty();
        }
        try {
            for (Any detail : status.getDetailsList()) {
                if (detail.is(ErrorInfo.class) && detail.unpack(ErrorInfo.class).getDomain().equals("evmesh")) {
                    return Optional.of(detail.unpack(ErrorInfo.class).getReason());
                }
            }
        } catch (InvalidProtocolBufferException malformed) {
            error.addSuppressed(malformed);
        }
        return Optional.empty();
    }

    /**
     * Shows the session live, until it is settled. No deadline: a charge takes as long as it takes. A stream that breaks,
     * for central restarts or a proxy cuts it, is opened again: it begins with the session as it is by then.
     */
    private Session follow(Session session) throws InterruptedException {
        WatchSessionRequest request = WatchSessionRequest.newBuilder()
                .setDriverId(session.getDriverId())
                .setSessionId(session.getSessionId())
                .build();
        boolean said = false;
        while (!session.getSettled()) {
            try {
                Iterator<WatchSessionResponse> updates = central.watchSession(request);
                while (updates.hasNext()) {
                    session = updates.next().getSession();
                    show(session);
                }
            } catch (StatusRuntimeException error) {
                if (error.getStatus().getCode() == Status.Code.NOT_FOUND) {
                    throw error;
                }
                if (!said) {
                    said = true;
                    System.err.printf("the stream broke, and is opened again: %s%n", error.getMessage());
                }
            }
            if (!session.getSettled()) {
                TimeUnit.SECONDS.sleep(RETRY_S);
            }
        }
        return session;
    }

    private static void show(Session session) {
        String state = session.getState().name().replaceFirst("^SESSION_STATE_", "");
        double amount = session.getAmount().getMicros() / 1e6;
        String currency = session.getAmount().getCurrencyCode();
        System.err.printf(Locale.ROOT, "%s: %.3f kWh, %.2f %s%n", state, session.getEnergyWh() / 1e3, amount, currency);
    }
}
