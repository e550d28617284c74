package evmesh.examples;

import com.google.gson.annotations.SerializedName;
import java.util.List;
import java.util.Map;

/** What came of it, as it is printed. */
record Outcome(
        @SerializedName("charge_points") List<String> chargePoints,
        String denial,
        @SerializedName("same_session") boolean sameSession,
        String outcome,
        Ticket ticket,
        Topics.Told notifications,
        @SerializedName("network_status") Map<String, List<String>> networkStatus) {

    record Ticket(
            @SerializedName("energy_wh") long energyWh,
            @SerializedName("amount_micros") long amountMicros,
            String currency) {

        static Ticket of(evmesh.network.v1.Ticket ticket) {
            return new Ticket(
                    ticket.getEnergyWh(), ticket.getAmount().getMicros(), ticket.getAmount().getCurrencyCode());
        }
    }
}
