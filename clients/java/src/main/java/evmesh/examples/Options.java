package evmesh.examples;

import java.util.HashMap;
import java.util.Map;

/** The flags: each a name and a value. */
record Options(String central, String identity, String kafka, String topicPrefix, String driver, String chargePoint, String place) {
    private static final String USAGE = """
            usage: java -jar charge.jar [--central HOST:PORT] [--identity DIR] [--kafka HOST:PORT] [--topic-prefix TEXT]
                                        [--driver ID] [--charge-point ID | --place PREFIX]
            the identity is the driver's; without it, plain text
            the topic prefix is that of the network, before its topics' names
            without --charge-point, central chooses: among the places that start with PREFIX, or among all""";

    static Options parse(String[] arguments) {
        Map<String, String> flags = new HashMap<>(Map.of(
                "--central", "127.0.0.1:50051",
                "--identity", "",
                "--kafka", "127.0.0.1:9092",
                "--topic-prefix", "",
                "--driver", "101",
                "--charge-point", "",
                "--place", ""));
        for (int index = 0; index < arguments.length; index += 2) {
            if (index + 1 == arguments.length || flags.replace(arguments[index], arguments[index + 1]) == null) {
                System.err.println(USAGE);
                System.exit(2);
            }
        }
        return new Options(
                flags.get("--central"),
                flags.get("--identity"),
                flags.get("--kafka"),
                flags.get("--topic-prefix"),
                flags.get("--driver"),
                flags.get("--charge-point"),
                flags.get("--place"));
    }
}
